// Package postgres keeps the gateway's state in a PostgreSQL database, for any
// number of equal nodes. It implements the contract of package store.
//
// Writes wait in a few batchers (batch.go): what is there when one is ready
// becomes one statement, one round trip and one commit. Claims only read; what
// is in flight lives in the memory of the node that holds the lane, under a
// lease by the database's clock (lane.go). History is partitioned by day, so
// that retention drops tables rather than rows (expire.go). The layout is in
// migrations/, the reasons for it in docs/decisions/store-postgres.md.
package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Options say how a store is opened. The zero value is fine.
type Options struct {
	// Now is for tests alone, which move the clock: leases then go by it. nil:
	// the database's clock, which is the same for all nodes.
	Now         func() time.Time
	Own         func() time.Time // this node's clock; nil: time.Now
	Log         *slog.Logger     // nil: nothing is logged
	Application string           // shown in pg_stat_activity; "": seawall
}

// Store is an open database. It implements store.Store.
type Store struct {
	pool  *pgxpool.Pool
	now   func() time.Time  // of this process: what deadlines are counted by
	own   func() time.Time  // what this node takes for the time
	clock func() *time.Time // sent along as the database's clock; nil: its own
	log   *slog.Logger
	names *names
	stats stats

	accepts *batcher[*acceptCall]
	settles *batcher[*settleCall]

	background background
	days       days
	depths     depths
	horizon    horizon
	refusals   refusals
	sweep      sweep
	cursors    cursors
	lined      linedLanes
	lines      knownLines
	signals    *signals

	skew      skew
	failed    chan struct{}
	closeOnce sync.Once
}

// How many connections a node uses: one writes what is accepted, one what was
// tried, the others read and do all that is rare. A second writer of each kind
// does not raise what a node can do, but halves the batches, and what a batch
// costs by itself is as much as ten events.
const (
	acceptWriters = 1
	settleWriters = 1
	otherConns    = 8
)

// Open connects, brings the layout up to this version, and makes the store
// ready. A server that would not keep what it acknowledges is refused.
func Open(ctx context.Context, url string, o Options) (_ *Store, err error) {
	s := &Store{now: time.Now, own: time.Now, clock: func() *time.Time { return nil }, log: o.Log, failed: make(chan struct{})}
	if o.Own != nil {
		s.own = o.Own
	}
	if o.Now != nil {
		s.now, s.own, s.clock = o.Now, o.Now, func() *time.Time { return new(o.Now()) }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	configure(c, o)
	shunReadOnly(c, func() { s.pool.Reset() })
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, fmt.Errorf("open store %s: %w", describe(c.ConnConfig), judge(err))
	}
	defer func() {
		if err != nil {
			s.pool.Close()
			err = fmt.Errorf("open store %s: %w", describe(c.ConnConfig), err)
		}
	}()
	if err := s.verify(ctx); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c.ConnConfig); err != nil {
		return nil, err
	}
	s.names = newNames(s.pool)
	if err := s.names.load(ctx); err != nil {
		return nil, judge(err)
	}
	if err := s.addDays(ctx); err != nil {
		return nil, err
	}
	s.background.open(ctx)
	var accepters []writer[*acceptCall]
	var settlers []writer[*settleCall]
	for range acceptWriters {
		accepters = append(accepters, &accepter{session: session{s: s}})
	}
	for range settleWriters {
		settlers = append(settlers, &settler{session: session{s: s}})
	}
	s.accepts, s.settles = newBatcher(accepters...), newBatcher(settlers...)
	s.signals = newSignals()
	alive := context.WithoutCancel(ctx)
	s.signals.done.Go(func() { s.signals.run(func(words []string) { s.tell(alive, words) }) })
	return s, nil
}

// settings are what the statements count on. Each of them is meant to be served
// by one index; a planner that thinks a table small would read all of it, and go
// on doing so when it has grown.
var settings = map[string]string{
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	// It would read all of a queue to sort it, what has long ended included.
	"enable_bitmapscan": "off",
	"plan_cache_mode":   "force_generic_plan",
	"jit":               "off",
	"statement_timeout": "30s",
	"lock_timeout":      "10s",
	// A frozen node's transaction must not hold up the takeover of its lanes.
	"idle_in_transaction_session_timeout": "10s",
}

func configure(c *pgxpool.Config, o Options) {
	if o.Application == "" {
		o.Application = "seawall"
	}
	given := c.ConnConfig.RuntimeParams
	if given["application_name"] == "" {
		given["application_name"] = o.Application
	}
	given["timezone"] = "UTC"
	// A pooler refuses a connection that begins with settings which it does not
	// know, so they are made after.
	var set strings.Builder
	for k, v := range settings {
		if _, ok := given[k]; !ok {
			fmt.Fprintf(&set, "SET %s = '%s';", k, v)
		}
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, set.String()).ReadAll()
		return err
	}
	if c.ConnConfig.ConnectTimeout == 0 || c.ConnConfig.ConnectTimeout > 10*time.Second {
		c.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	c.ConnConfig.OnNotice = noteLocalOnly
	c.MaxConns = acceptWriters + settleWriters + otherConns
	c.MinIdleConns = 1
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > idle }
	c.MaxConnIdleTime = 5 * time.Minute
	c.HealthCheckPeriod = 15 * time.Second
}

// describe names the database without its password.
func describe(c *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres://%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database)
}

// Failed is never closed: a server that fails is connected to again.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close writes what waits and closes the connections.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.accepts.close()
		s.settles.close()
		s.signals.close()
		s.background.close()
		s.pool.Close()
	})
	return nil
}
