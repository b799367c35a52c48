package postgres

import (
	"context"
	"encoding/json"
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

// filled opens a store with a history of some days up to now.
func filled(t testing.TB) *Store {
	t.Helper()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	clock := now.AddDate(0, 0, -filledDays)
	url := pgcluster.Shared(t)
	s, err := Open(t.Context(), url, Options{Now: func() time.Time { return clock }})
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
	sql := strings.NewReplacer("{from}", now.AddDate(0, 0, -filledDays).Format(time.RFC3339), "{days}", fmt.Sprint(filledDays),
		"{events}", fmt.Sprint(filledDays*filledEvents())).Replace(fill)
	if err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	return s
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

// buffers runs a statement again under its generic plan, as sessions do, and
// returns how many pages it touched, with the plan.
func buffers(t *testing.T, s *Store, d pgx.TraceQueryStartData) (n int, plan string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		args := make([]string, len(d.Args))
		for i, a := range d.Args {
			args[i] = literal(a)
		}
		if _, err := tx.Exec(t.Context(), "PREPARE p AS "+d.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		defer tx.Exec(t.Context(), "DEALLOCATE p")
		execute := "EXECUTE p"
		if len(args) > 0 {
			execute += " (" + strings.Join(args, ", ") + ")"
		}
		var out []byte
		if err := tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+execute, pgx.QueryExecModeSimpleProtocol).Scan(&out); err != nil {
			return err
		}
		var plans []struct {
			Plan struct {
				Hit  int `json:"Shared Hit Blocks"`
				Read int `json:"Shared Read Blocks"`
			}
		}
		if err := json.Unmarshal(out, &plans); err != nil {
			return err
		}
		n = plans[0].Plan.Hit + plans[0].Plan.Read
		rows, err := tx.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) "+execute, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", d.SQL, err)
	}
	return n, plan
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
	case []int32:
		return "'{" + strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]") + "}'"
	default:
		return fmt.Sprint(v)
	}
}

// A list reads a bounded number of pages, however much the tables hold and
// whatever the filter: some for each day, some for each row that it returns or,
// where no index selects, for each of a stretch.
func TestG9_ListsReadWhatTheyReturn(t *testing.T) {
	s := filled(t)
	w, r := watched(t, s)
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
	for _, tt := range []struct {
		name  string
		list  func() (int, error)
		most  int // pages for one statement
		items int
	}{
		{"events", events(store.EventFilter{}), perDay + 50, 50},
		{"events of a source", events(store.EventFilter{Source: "s1"}), perDay + 5*50, 50},
		{"events of a type", events(store.EventFilter{Type: "order.[3*"}), perDay + stretch, 0},
		{"events of an entity", events(store.EventFilter{Entity: "order/1"}), perDay + 4*50, 50},
		{"events of a rare entity", events(store.EventFilter{Entity: "order/11"}), perDay + 50, 1},
		{"unmatched events", events(store.EventFilter{Routing: &unmatched}), perDay + 4*50, 40},
		{"events between", events(store.EventFilter{Since: since, Until: until}), perDay + 4*50, 50},
		{"an event by its source's id", events(store.EventFilter{SourceID: "id-77"}), perDay + stretch, 1},
		{"events followed", events(store.EventFilter{After: 1000}), perDay + 50, 50},
		{"deliveries", deliveries(store.DeliveryFilter{}), perDay*2 + 8*50, 50},
		{"dead letters", deliveries(store.DeliveryFilter{State: state(seawall.Dead)}), perDay + 8*50, 50},
		{"dead letters of a destination", deliveries(store.DeliveryFilter{State: state(seawall.Dead), Destination: "d1"}), perDay + 8*50, 50},
		{"held deliveries", deliveries(store.DeliveryFilter{State: state(seawall.Held)}), perDay + 8*stretch, 50},
		{"deliveries of a rare destination", deliveries(store.DeliveryFilter{Destination: "d5"}), perDay + 8*stretch, 0},
		{"deliveries of a type", deliveries(store.DeliveryFilter{Type: "order.3"}), perDay*2 + 8*50*8, 50},
		{"deliveries between", deliveries(store.DeliveryFilter{Since: since, Until: until}), perDay*2 + 8*stretch, 50},
	} {
		began := time.Now()
		n, err := tt.list()
		took := time.Since(began)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if n < tt.items {
			t.Errorf("%s: %d items, want %d", tt.name, n, tt.items)
		}
		worst, plan, statements := 0, "", r.take()
		for _, d := range statements {
			if !strings.Contains(d.SQL, "SELECT") {
				continue
			}
			if n, p := buffers(t, s, d); n > worst {
				worst, plan = n, d.SQL+"\n"+fmt.Sprint(d.Args)+"\n"+p
			}
		}
		t.Logf("%-35s %3d items, %3d statements, at most %5d pages, %s", tt.name, n, len(statements), worst, took.Round(time.Millisecond/10))
		if worst > tt.most {
			t.Errorf("%s: one statement read %d pages, at most %d:\n%s", tt.name, worst, tt.most, plan)
		}
	}
}
