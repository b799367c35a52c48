package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seawall-dev/seawall/seawall"
)

// The days that have tables of their own: from yesterday, for a clock that is
// behind, to some days ahead, so that a database in which nothing may be created
// for a while goes on.
const (
	daysBehind = 1
	daysAhead  = 3

	// lookEvery is the time between two looks for a day that was missing.
	lookEvery = 10 * time.Second
)

const daySeconds = 24 * 60 * 60

// dayOf is the day of an event's id, as days since 1970: the part that it is in,
// unless that is 0.
func dayOf(id seawall.EventID) int32 { return dayAt(id.Time()) }

func dayAt(t time.Time) int32 { return int32(t.Unix() / daySeconds) }

// dayEnd is when a day is over.
func dayEnd(day int32) time.Time { return time.Unix((int64(day)+1)*daySeconds, 0).UTC() }

// days are those that this node knows to have tables. Another node may have
// added some meanwhile, or given some up.
type days struct {
	known atomic.Pointer[map[int32]bool]

	// oldest is the first day that anything is written to, by the database's clock.
	// Whoever gives up an earlier one has looked through it, and would not see what
	// a node with a clock far behind still commits there.
	oldest atomic.Int32

	mu     sync.Mutex
	looked time.Time // when a missing one was looked for
}

func (d *days) has(day int32) bool {
	known := d.known.Load()
	return known != nil && (*known)[day]
}

// sorted returns the days, oldest first.
func (d *days) sorted() []int32 {
	known := d.known.Load()
	if known == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(*known))
}

// part returns where an event of this id goes: to its day, or to 0 if that has
// no tables. A missing day is then looked for.
func (s *Store) part(id seawall.EventID) int32 {
	day := dayOf(id)
	if day < s.days.oldest.Load() {
		return 0
	}
	if s.days.has(day) {
		return day
	}
	if today := dayAt(s.time()); day >= today-daysBehind && day <= today+daysAhead {
		s.lookForDay()
	}
	return 0
}

// lookForDay adds what is missing, in the background and not too often.
func (s *Store) lookForDay() {
	s.days.mu.Lock()
	defer s.days.mu.Unlock()
	if time.Since(s.days.looked) < lookEvery {
		return
	}
	s.days.looked = time.Now()
	s.background.do(func(ctx context.Context) {
		if err := s.addDays(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("no tables for the days to come", "error", err)
		}
	})
}

const qDays = `SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'event'::regclass`

// loadDays reads which days there are.
func (s *Store) loadDays(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, qDays)
	if err != nil {
		return err
	}
	known := map[int32]bool{}
	var bound *string // NULL of one that is dropped this moment
	_, err = pgx.ForEachRow(rows, []any{&bound}, func() error {
		var day int32
		if bound == nil {
			return nil
		}
		if _, err := fmt.Sscanf(*bound, "FOR VALUES IN (%d)", &day); err != nil {
			return fmt.Errorf("a partition of event %s: %w", *bound, err)
		}
		if day != 0 {
			known[day] = true
		}
		return nil
	})
	if err == nil {
		s.days.known.Store(&known)
	}
	return err
}

// addDays makes the tables of the days to come, those that are missing.
func (s *Store) addDays(ctx context.Context) error {
	today := dayAt(s.time())
	missing := func() (days []int32) {
		for day := today - daysBehind; day <= today+daysAhead; day++ {
			if !s.days.has(day) {
				days = append(days, day)
			}
		}
		return days
	}
	if len(missing()) == 0 {
		return nil
	}
	if err := s.loadDays(ctx); err != nil {
		return judge(err)
	}
	want := missing()
	if len(want) == 0 {
		return nil
	}
	for _, day := range want {
		// Nobody waits for it: a table is made by itself and then attached.
		if _, err := s.pool.Exec(ctx, "SELECT seawall_add_day($1)", day); err != nil {
			return judge(err)
		}
	}
	return judge(s.loadDays(ctx))
}

// dropWait is how long giving up a day waits for its turn: who accepts meanwhile
// waits behind it.
const dropWait = "SET LOCAL lock_timeout = '50ms'"

// dropDay drops the tables of a day, unless they hold events past seq. It gives
// up (false) if someone holds them for longer than a moment, a backup for one.
func (s *Store) dropDay(ctx context.Context, day int32, seq int64) (dropped, busy bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, dropWait); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT seawall_drop_day($1, $2)", day, seq).Scan(&dropped)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "55P03" || pg.Code == "40P01") {
		return false, true, nil
	}
	if err != nil || !dropped {
		return false, false, err
	}
	return true, false, s.loadDays(ctx)
}

// holdDays keeps days from being given up until the transaction ends, and
// returns the last one that is being given up: what is put back into the queue
// out of that or an earlier one must move to part 0.
func holdDays(ctx context.Context, tx pgx.Tx) (closing int32, err error) {
	if _, err := tx.Exec(ctx, lockShared, lockDays); err != nil {
		return 0, err
	}
	n, err := number(ctx, tx, "SELECT value FROM memo WHERE key = 'closing'")
	return int32(n), err
}
