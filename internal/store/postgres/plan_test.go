package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// filledDays and filledEvents are what a filled store holds: as many days, and as
// many events in each. SEAWALL_TEST_EVENTS makes it more, for measuring.
const filledDays = 8

func filledEvents() int {
	if n, err := strconv.Atoi(os.Getenv("SEAWALL_TEST_EVENTS")); err == nil {
		return n / filledDays
	}
	return 5000
}

// fill writes a history: every 20th delivery waits, every 50th is dead, nearly
// all are of two of 20 destinations; one event in 1,000 is unmatched, one in 10
// is of one entity.
const fill = `
INSERT INTO name (text) SELECT 's' || i FROM generate_series(0, 4) i;
INSERT INTO name (text) SELECT 'r' || i FROM generate_series(0, 4) i;
INSERT INTO lane (system, shard) SELECT 'd' || i, 0 FROM generate_series(0, 19) i;
INSERT INTO queue (destination, lane) SELECT system, id FROM lane ORDER BY id;
CREATE TEMP TABLE f AS SELECT i AS seq, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(i << 15), 12, '0'))::uuid AS id,
	(extract(epoch FROM at) / 86400)::int AS part, 1 + i % 5 AS source, CASE WHEN i % 1000 = 7 THEN 3 + i / 1000 % 18 ELSE 1 + i % 2 END AS queue
	FROM (SELECT i, timestamptz '{from}' + (i * interval '{days} days' / {events}) AS at FROM generate_series(0::bigint, {events} - 1) i) g;
UPDATE f SET part = floor(extract(epoch FROM at) / 86400);
INSERT INTO event (part, seq, id, source, received, flags, routing, revision, depth, type, entity, source_id, request, body)
	SELECT part, seq, id, source, at, 0, CASE WHEN seq % 1000 = 8 THEN 1 ELSE 0 END, 1, 0, 'order.' || seq % 7, CASE WHEN seq % 10 = 0 THEN 'order/1' ELSE 'order/' || seq END,
	convert_to('id-' || seq, 'UTF8'), '\x010000000000'::bytea, decode(repeat('ab', 500), 'hex') FROM f ORDER BY seq;
INSERT INTO dedupe (source, key, event, body, expires) SELECT source, '\x00'::bytea || convert_to('id-' || seq, 'UTF8'), id, '\x', at + interval '30 days' FROM f;
INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, entity)
	SELECT seq << 15 | 1, id, part, queue, CASE WHEN seq % 400 = 0 THEN 1 ELSE 0 END, at, 500, 6 + seq % 5, 1, 0, 0, 0, 'order/' || seq FROM f WHERE seq % 20 = 0;
INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, entity, last)
	SELECT part, seq << 15 | 1, id, queue, CASE WHEN seq % 50 = 7 THEN 4 ELSE 3 END, at, 500, 6 + seq % 5, 1, 0, 1, 1, 'order/' || seq, decode(repeat('cd', 150), 'hex') FROM f WHERE seq % 20 <> 0;
SELECT setval('event_seq', {events});
`

// today is when the history ends.
var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// empty opens a store with the tables for a history, which the planner knows to
// hold nothing.
func empty(t testing.TB) *Store {
	t.Helper()
	clock := today.AddDate(0, 0, -filledDays)
	s, err := Open(t.Context(), pgcluster.Shared(t), Options{Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for range filledDays {
		clock = clock.AddDate(0, 0, 1)
		if err := s.addDays(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, s, "VACUUM ANALYZE")
	return s
}

func run(t testing.TB, s *Store, sql string) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
}

// filled writes a history into the store.
func filled(t testing.TB, s *Store) {
	t.Helper()
	run(t, s, strings.NewReplacer("{from}", today.AddDate(0, 0, -filledDays).Format(time.RFC3339), "{days}", fmt.Sprint(filledDays),
		"{events}", fmt.Sprint(filledDays*filledEvents())).Replace(fill))
}

// watched opens the same database with every statement recorded.
func watched(t testing.TB, s *Store) (*Store, *recorder) {
	t.Helper()
	r := &recorder{}
	c := s.pool.Config()
	c.ConnConfig.Tracer = r
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w := &Store{pool: pool, now: s.now, clock: s.clock, log: s.log, names: newNames(pool)}
	if err := w.names.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.take()
	return w, r
}

type recorder struct {
	mu   sync.Mutex
	done []pgx.TraceQueryStartData
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, d)
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *recorder) take() []pgx.TraceQueryStartData {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := r.done
	r.done = nil
	return done
}

// prepared is a statement with its generic plan, as sessions keep them.
type prepared struct {
	name, execute, sql string
}

// plan prepares a statement and runs it once, for its plan to be made.
func plan(t *testing.T, c *pgxpool.Conn, i int, d pgx.TraceQueryStartData) prepared {
	t.Helper()
	args := make([]string, len(d.Args))
	for i, a := range d.Args {
		args[i] = literal(a)
	}
	p := prepared{name: fmt.Sprint("p", i)}
	p.execute = "EXECUTE " + p.name
	if len(args) > 0 {
		p.execute += " (" + strings.Join(args, ", ") + ")"
	}
	p.sql = d.SQL + "\n" + p.execute
	for _, sql := range []string{"PREPARE " + p.name + " AS " + d.SQL, p.execute} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return p
}

// pages runs it again and returns how many pages it touched, and how.
func (p prepared) pages(t *testing.T, c *pgxpool.Conn) (n int, how string) {
	t.Helper()
	rows, err := c.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) "+p.execute, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	how = p.sql + "\n" + strings.Join(lines, "\n")
	_, of, _ := strings.Cut(how, "Buffers: ") // the first line with them is of the whole
	of, _, _ = strings.Cut(of, "\n")
	for _, field := range strings.Fields(of) {
		if _, digits, ok := strings.Cut(field, "="); ok && !strings.HasPrefix(field, "dirtied") && !strings.HasPrefix(field, "written") {
			m, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatalf("%q in:\n%s", of, how)
			}
			n += m
		}
	}
	return n, how
}

func literal(v any) string {
	switch v := v.(type) {
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case []byte:
		return fmt.Sprintf(`'\x%x'`, v)
	case [16]byte:
		return fmt.Sprintf("'%x'", v)
	case time.Time:
		return "'" + v.Format(time.RFC3339Nano) + "'"
	case []int32, []int64:
		return "'{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + "}'"
	default:
		return fmt.Sprint(v)
	}
}

// A list reads a bounded number of pages, however much the tables hold and
// whatever the filter: some for each day, some for each row that it returns or,
// where no index selects, for each of a stretch.
func TestG9_ListsReadWhatTheyReturn(t *testing.T) {
	s := empty(t)
	filled(t, s)
	w, r := watched(t, s)
	// A session keeps the plan that it made first. So every statement is planned
	// in a store that is empty, by what the planner knows, and then filled.
	var event seawall.EventID
	if err := s.pool.QueryRow(t.Context(), "SELECT id FROM event WHERE seq = 1060").Scan((*[16]byte)(&event)); err != nil { // its delivery waits
		t.Fatal(err)
	}
	before := empty(t)
	c, err := before.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	state := func(st seawall.State) *seawall.State { return &st }
	unmatched := seawall.Unmatched
	since, until := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	p := store.Page{Limit: 50}
	events := func(f store.EventFilter) func() (int, error) {
		return func() (int, error) {
			l, err := w.ListEvents(t.Context(), f, p)
			return len(l.Items), err
		}
	}
	deliveries := func(f store.DeliveryFilter) func() (int, error) {
		return func() (int, error) {
			l, err := w.ListDeliveries(t.Context(), f, p)
			return len(l.Items), err
		}
	}
	const perDay = 8 * (filledDays + 6)
	lists := []struct {
		name       string
		list       func() (int, error)
		most       int // pages for one statement
		items      int
		statements []prepared
	}{
		{"events", events(store.EventFilter{}), perDay + 50, 50, nil},
		{"events of a source", events(store.EventFilter{Source: "s1"}), perDay + 5*50, 50, nil},
		{"events of a type", events(store.EventFilter{Type: "order.[3*"}), perDay + stretch, 0, nil},
		{"events of an entity", events(store.EventFilter{Entity: "order/1"}), perDay + 4*50, 50, nil},
		{"events of a rare entity", events(store.EventFilter{Entity: "order/11"}), perDay + 50, 1, nil},
		{"unmatched events", events(store.EventFilter{Routing: &unmatched}), perDay + 4*50, 40, nil},
		{"events between", events(store.EventFilter{Since: since, Until: until}), perDay + stretch, 50, nil},
		{"an event by its source's id", events(store.EventFilter{SourceID: "id-77"}), perDay + stretch, 1, nil},
		{"events followed", events(store.EventFilter{After: 1000}), perDay + 50, 50, nil},
		{"deliveries", deliveries(store.DeliveryFilter{}), perDay*2 + 8*50, 50, nil},
		{"dead letters", deliveries(store.DeliveryFilter{State: state(seawall.Dead)}), perDay + 8*50, 50, nil},
		{"dead letters of a destination", deliveries(store.DeliveryFilter{State: state(seawall.Dead), Destination: "d1"}), perDay + 8*50, 50, nil},
		{"held deliveries", deliveries(store.DeliveryFilter{State: state(seawall.Held)}), perDay + 8*stretch, 50, nil},
		{"deliveries of a rare destination", deliveries(store.DeliveryFilter{Destination: "d5"}), perDay + 8*stretch, 0, nil},
		{"deliveries of a type", deliveries(store.DeliveryFilter{Type: "order.3"}), perDay*2 + 8*50*8, 50, nil},
		{"deliveries between", deliveries(store.DeliveryFilter{Since: since, Until: until}), perDay*2 + 8*stretch, 50, nil},
		{"an event", func() (int, error) { _, err := w.Event(t.Context(), event); return 1, err }, 2 * 4, 1, nil},
		{"a delivery", func() (int, error) { _, err := w.Delivery(t.Context(), event.Delivery(1)); return 1, err }, 4 * 5, 1, nil},
		{"an event's deliveries", func() (int, error) { ds, err := w.DeliveriesOf(t.Context(), event); return len(ds), err }, 4 * 5, 1, nil},
		{"attempts", func() (int, error) { as, err := w.Attempts(t.Context(), event.Delivery(1)); return len(as), err }, 4 * 5, 0, nil},
		{"a claim", func() (int, error) {
			due, _, err := w.Claim(t.Context(), store.Lease{Lane: store.Lane{System: "d0"}}, store.Claim{Destination: "d0", Now: today, Limit: 50})
			return len(due), err
		}, 8 * 50, 50, nil},
		{"what waits", func() (int, error) { qs, err := w.Waiting(t.Context()); return len(qs), err }, 20 * 8, 1, nil},
		{"what came of age", func() (int, error) {
			tx, err := w.pool.Begin(t.Context())
			if err != nil {
				return 0, err
			}
			defer tx.Rollback(t.Context())
			olds, err := w.olds(t.Context(), tx, qOldOfDay, 7*int64(filledEvents())/2, 50, dayAt(since))
			return len(olds), err
		}, 10 * 50, 50, nil},
		{"what came of age of any day", func() (int, error) {
			tx, err := w.pool.Begin(t.Context())
			if err != nil {
				return 0, err
			}
			defer tx.Rollback(t.Context())
			olds, err := w.olds(t.Context(), tx, qOld, 7*int64(filledEvents())/2, 50)
			return len(olds), err
		}, perDay + 10*50, 50, nil},
	}
	serial := 0
	for i := range lists {
		tt := &lists[i]
		began := time.Now()
		n, err := tt.list()
		took := time.Since(began)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if n < tt.items {
			t.Errorf("%s: %d items, want %d", tt.name, n, tt.items)
		}
		for _, d := range r.take() {
			if strings.Contains(d.SQL, "SELECT") {
				tt.statements = append(tt.statements, plan(t, c, serial, d))
				serial++
			}
		}
		t.Logf("%-35s %3d items, %3d statements, %s", tt.name, n, len(tt.statements), took.Round(time.Millisecond/10))
	}
	filled(t, before)
	for _, tt := range lists {
		worst, how := 0, ""
		for _, p := range tt.statements {
			if n, h := p.pages(t, c); n > worst {
				worst, how = n, h
			}
		}
		t.Logf("%-35s at most %5d pages", tt.name, worst)
		if worst > tt.most {
			t.Errorf("%s: one statement read %d pages, at most %d:\n%s", tt.name, worst, tt.most, how)
		}
	}
}

// The hot table is empty most of the time, and so it is often when the server
// looks what is in it. A claim that is planned then must read no more of a queue
// that has filled than it returns.
func TestG7_AClaimPlannedWhenNothingWaitedReadsWhatItReturns(t *testing.T) {
	s := empty(t)
	run(t, s, `INSERT INTO lane (system, shard) VALUES ('d0', 0); INSERT INTO queue (destination, lane) SELECT system, id FROM lane`)
	add := `INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round)
		SELECT i, gen_random_uuid(), 1, 1, 0, now(), 500, 1, 1, 0, 0, 0 FROM generate_series(1, 30000) i`
	run(t, s, add+`; ANALYZE delivery; DELETE FROM delivery; ANALYZE delivery`)
	c, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	p := plan(t, c, 0, pgx.TraceQueryStartData{SQL: qReady, Args: []any{int32(1), longAgo, int64(0), int64(100)}})
	run(t, s, "VACUUM delivery") // after which plans are made anew
	if _, err := c.Exec(t.Context(), p.execute, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	run(t, s, add)
	if n, how := p.pages(t, c); n > 100 {
		t.Errorf("a claim of 100 read %d pages:\n%s", n, how)
	}
}

// What settles must read what it settles and no more, also where it was planned while
// next to nothing waited in a table that had been full: to read all of that looks
// cheaper than to look deliveries up.
func TestG7_ASettlementPlannedWhenLittleWaitedReadsWhatItSettles(t *testing.T) {
	s := empty(t)
	run(t, s, `INSERT INTO lane (system, shard, node, token) VALUES ('d0', 0, 'n1', 1); INSERT INTO queue (destination, lane) SELECT system, id FROM lane`)
	add := `INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round)
		SELECT i << 15 | 1, gen_random_uuid(), 0, 1, 0, now(), 500, 1, 1, 0, 0, 0 FROM generate_series(%d::bigint, %d) i`
	few := fmt.Sprintf(add, 1, 1)
	many := fmt.Sprintf(add, 100, 30000)
	run(t, s, many+`; DELETE FROM delivery; `+few+`; ANALYZE delivery`)
	c, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	const n = 100
	statements := map[string]*statement{"what is settled": qSettle, "in lines": qSettleLined, "with its lines": qSettleLocking}
	plans := map[string]prepared{}
	for name, st := range statements {
		plans[name] = plan(t, c, len(plans), pgx.TraceQueryStartData{SQL: st.sql, Args: settled(n, 1000*(len(plans)+1))})
	}
	run(t, s, many)
	for name, p := range plans {
		pages, how := p.pages(t, c)
		t.Logf("%-16s %d pages", name, pages)
		if pages > 20*n || strings.Contains(how, "Rows Removed by Join Filter") {
			t.Errorf("%s: read %d pages, or what it did not settle:\n%s", name, pages, how)
		}
	}
	var ended int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM finished").Scan(&ended); err != nil || ended != len(plans)*n/2 {
		t.Errorf("%d were settled for good, want %d: %v", ended, len(plans)*n/2, err)
	}
}
