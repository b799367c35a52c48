package postgres_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

const (
	day     = 24 * time.Hour
	horizon = 30 * day
)

// gateway is a store, or several of one database, with a clock that the test
// moves.
type gateway struct {
	*postgres.Store
	*storetest.Clock
	url  string
	conn *pgx.Conn // the test's own
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{Clock: storetest.NewClock(), url: database(t)}
	g.Store = g.node(t)
	g.conn = g.connect(t)
	return g
}

// node opens the database once more.
func (g *gateway) node(t *testing.T) *postgres.Store {
	t.Helper()
	return open(t, g.url, postgres.Options{Now: g.Now})
}

func (g *gateway) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), g.url)
	must(t, err)
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// count runs a statement that selects a number.
func (g *gateway) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	must(t, g.conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func (g *gateway) event(id string) *seawall.Event {
	now := g.Now()
	return &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: id, Type: "order.paid", ReceivedAt: now,
		Method: "POST", Body: []byte(id), Revision: 1}
}

func acceptance(e *seawall.Event) store.Acceptance {
	sum := sha256.Sum256(e.Body)
	a := store.Acceptance{Event: e, Expires: e.ReceivedAt.Add(horizon), Deliveries: []seawall.Delivery{{
		ID: e.ID.Delivery(1), Route: "shop to orders", Destination: "orders", System: "orders", Due: e.ReceivedAt, Revision: 1}}}
	copy(a.BodyHash[:], sum[:])
	return a
}

// accept accepts an event with one delivery and returns what stands.
func (g *gateway) accept(t *testing.T, id string) store.Accepted {
	t.Helper()
	out, err := g.Accept(t.Context(), []store.Acceptance{acceptance(g.event(id))})
	must(t, err)
	return out[0]
}

// ended accepts an event whose delivery then ends in state.
func (g *gateway) ended(t *testing.T, id string, state seawall.State) seawall.EventID {
	t.Helper()
	e := g.accept(t, id).Event
	g.end(t, e.Delivery(1), state)
	return e
}

func (g *gateway) end(t *testing.T, id seawall.DeliveryID, state seawall.State) {
	t.Helper()
	ls, err := g.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, time.Hour)
	must(t, err)
	out, err := g.Settle(t.Context(), []store.Settlement{{Lease: ls[0], Delivery: id, State: state, At: g.Now(),
		Attempt: &seawall.Attempt{N: 1, At: g.Now(), Node: "n1", Request: seawall.Request{URL: "https://x.example"}}}})
	must(t, err)
	if out[0] != store.Done {
		t.Fatalf("settle %s: %v", id, out[0])
	}
}

// state checks where a delivery stands and how often it was tried.
func (g *gateway) state(t *testing.T, id seawall.DeliveryID, want seawall.State, attempts int) {
	t.Helper()
	d, err := g.Delivery(t.Context(), id)
	must(t, err)
	as, err := g.Attempts(t.Context(), id)
	must(t, err)
	if d.State != want || len(as) != attempts {
		t.Errorf("%s is %s after %d attempts, want %s after %d", id, d.State, len(as), want, attempts)
	}
}

func (g *gateway) expiry(events, dead time.Duration) store.Expiry {
	now := g.Now()
	return store.Expiry{Now: now, Events: now.Add(-events), Dead: now.Add(-dead), Limit: 3}
}

// expire runs Expire until there is nothing more to do.
func (g *gateway) expire(t *testing.T, events, dead time.Duration) (deleted int) {
	t.Helper()
	for range 1000 {
		n, more, err := g.Expire(t.Context(), g.expiry(events, dead))
		must(t, err)
		if deleted += n; !more {
			return deleted
		}
	}
	t.Fatal("there is always more")
	return 0
}

// days returns how many days have tables.
func (g *gateway) days(t *testing.T) int {
	t.Helper()
	return g.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass") - 1
}

func TestG2_ADroppedDayLeavesWhatMustStay(t *testing.T) {
	g := newGateway(t)
	waits := g.accept(t, "waits").Event
	dead := g.ended(t, "dead", seawall.Dead)
	replayed := g.ended(t, "replayed", seawall.Delivered)
	at := g.Advance(time.Minute)
	_, err := g.Replay(t.Context(), []seawall.DeliveryID{replayed.Delivery(1)}, store.ReplayOptions{At: at}, seawall.Action{})
	must(t, err)
	g.Advance(20 * time.Hour) // the next day
	must(t, g.Ping(t.Context()))
	if n := g.expire(t, 30*day, 90*day); n != 0 {
		t.Fatalf("%d deleted before their time", n)
	}
	var done []seawall.EventID
	for i := range 10 {
		done = append(done, g.ended(t, fmt.Sprint(i), seawall.Delivered))
	}
	g.Advance(31 * day)
	g.expire(t, 30*day, 90*day) // makes the days to come
	if n := g.days(t); n != 5+3 {
		t.Errorf("%d days have tables, want the 5 from yesterday on and 3 that are not past yet", n)
	}
	for _, id := range done {
		if _, err := g.Event(t.Context(), id); !errors.Is(err, seawall.ErrNotFound) {
			t.Errorf("%s is still there: %v", id, err)
		}
	}
	for _, table := range []string{"event", "delivery"} {
		if n := g.count(t, "SELECT count(*) FROM "+table+" WHERE part <> 0"); n != 0 {
			t.Errorf("%d rows of %s are not where they are kept", n, table)
		}
	}
	if n := g.count(t, "SELECT count(*) FROM dedupe"); n != 3 {
		t.Errorf("%d dedupe keys are left, want those of the 3 kept", n)
	}
	g.state(t, waits.Delivery(1), seawall.Pending, 0)
	g.state(t, dead.Delivery(1), seawall.Dead, 1)
	g.state(t, replayed.Delivery(1), seawall.Pending, 1)

	// They go on as if nothing had happened.
	g.end(t, waits.Delivery(1), seawall.Delivered)
	g.state(t, waits.Delivery(1), seawall.Delivered, 1)
	g.end(t, replayed.Delivery(1), seawall.Dead)
	g.state(t, replayed.Delivery(1), seawall.Dead, 2)
	ds, err := g.Replay(t.Context(), []seawall.DeliveryID{dead.Delivery(1)}, store.ReplayOptions{At: g.Now()}, seawall.Action{})
	must(t, err)
	if len(ds) != 1 {
		t.Fatalf("replayed %v", ds)
	}
	g.state(t, dead.Delivery(1), seawall.Pending, 1)
	g.end(t, dead.Delivery(1), seawall.Delivered)

	g.Advance(2 * time.Hour) // a new sweep
	g.expire(t, 30*day, 90*day)
	for id, kept := range map[seawall.EventID]bool{waits: false, replayed: true, dead: false} {
		if _, err := g.Event(t.Context(), id); errors.Is(err, seawall.ErrNotFound) == kept {
			t.Errorf("%s: kept %v, got %v", id, kept, err)
		}
	}
}

func TestG3_ADroppedDayLeavesKeysWithinTheHorizon(t *testing.T) {
	g := newGateway(t)
	first := g.ended(t, "1", seawall.Delivered)
	g.Advance(10 * day)
	g.expire(t, 5*day, 5*day)
	if out := g.accept(t, "1"); out.Verdict != seawall.Duplicate || out.Event != first {
		t.Errorf("within the horizon: %+v", out)
	}
	if n := g.count(t, "SELECT part FROM event WHERE id = $1", [16]byte(first)); n != 0 {
		t.Errorf("its event is still in part %d", n)
	}
	g.Advance(20 * day)
	g.expire(t, 5*day, 5*day)
	if out := g.accept(t, "1"); out.Verdict != seawall.New {
		t.Errorf("past the horizon: %+v", out)
	}
}

// What a person puts back while its day is given up is not dropped with it,
// whether its event was looked through already or not.
func TestG2_AReplayOutOfADayThatIsGivenUp(t *testing.T) {
	g := newGateway(t)
	var ids []seawall.EventID
	for i := range 12 {
		ids = append(ids, g.ended(t, fmt.Sprint(i), seawall.Dead))
	}
	g.Advance(40 * day)
	must(t, g.Close())
	g.Store = g.node(t) // days are there, and nothing was looked at
	again := []seawall.EventID{ids[1], ids[4], ids[11]}
	for i, more := 0, true; more; i++ {
		var err error
		_, more, err = g.Expire(t.Context(), g.expiry(30*day, 30*day))
		must(t, err)
		if i < len(again) {
			o := store.ReplayOptions{At: g.Now(), NewID: i == 1}
			ds, err := g.Replay(t.Context(), []seawall.DeliveryID{again[i].Delivery(1)}, o, seawall.Action{})
			must(t, err)
			if len(ds) != 1 {
				t.Fatalf("replay %d: %+v", i, ds)
			}
		}
	}
	if n := g.count(t, "SELECT count(*) FROM event WHERE part <> 0"); n != 0 {
		t.Fatalf("%d events are left in the day", n)
	}
	for i, id := range again {
		n, attempts := 1, 1
		if i == 1 {
			n, attempts = 2, 0
		}
		g.state(t, id.Delivery(n), seawall.Pending, attempts)
		g.end(t, id.Delivery(n), seawall.Delivered)
	}
	if n := g.count(t, "SELECT count(*) FROM event"); n != len(again) {
		t.Errorf("%d events are left, want %d", n, len(again))
	}
}

// A settlement that is under way while its event moves ends where the event is.
func TestG2_ASettlementFollowsItsEvent(t *testing.T) {
	g := newGateway(t)
	e := g.accept(t, "1").Event
	ls, err := g.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, 50*day)
	must(t, err)
	due, _, err := g.Claim(t.Context(), ls[0], store.Claim{Destination: "orders", Now: g.Now(), Limit: 1, Rescan: true})
	must(t, err)
	g.Advance(40 * day)
	g.expire(t, 30*day, 30*day)
	out, err := g.Settle(t.Context(), []store.Settlement{{Lease: ls[0], Delivery: e.Delivery(1), Seq: due[0].Event.Seq, State: seawall.Dead, At: g.Now()}})
	must(t, err)
	if out[0] != store.Done {
		t.Fatalf("settled: %v", out)
	}
	g.state(t, e.Delivery(1), seawall.Dead, 0)
}

func TestG1_AMissingDayLosesNothing(t *testing.T) {
	g := newGateway(t)
	g.Advance(400 * day)
	first := g.accept(t, "1").Event
	g.expire(t, 500*day, 500*day) // makes the days
	second := g.accept(t, "2").Event
	if a, b := g.count(t, "SELECT part FROM event WHERE id = $1", [16]byte(first)), g.count(t, "SELECT part FROM event WHERE id = $1", [16]byte(second)); a != 0 || b == 0 {
		t.Errorf("the events are in part %d and %d", a, b)
	}
	for _, id := range []seawall.EventID{first, second} {
		g.state(t, id.Delivery(1), seawall.Pending, 0)
		g.end(t, id.Delivery(1), seawall.Delivered)
		g.state(t, id.Delivery(1), seawall.Delivered, 1)
	}
}

// A day that another node has given up is known to be gone as soon as something
// should go there.
func TestG1_ADayGivenUpByAnotherNode(t *testing.T) {
	g := newGateway(t)
	other := g.node(t)
	old := g.event("late") // held up for 40 days, by a clock that is wrong
	g.Advance(40 * day)
	g.expire(t, 30*day, 30*day)
	out, err := other.Accept(t.Context(), []store.Acceptance{acceptance(old), acceptance(g.event("now"))})
	must(t, err)
	if out[0].Verdict != seawall.New || out[1].Verdict != seawall.New {
		t.Errorf("got %v", out)
	}
	g.state(t, old.ID.Delivery(1), seawall.Pending, 0)
}

func TestG2_TwoNodesExpireAtOnce(t *testing.T) {
	g := newGateway(t)
	waits := map[seawall.EventID]bool{}
	for i := range 60 {
		if i%3 == 0 {
			waits[g.accept(t, fmt.Sprint(i)).Event] = true
		} else {
			g.ended(t, fmt.Sprint(i), seawall.Delivered)
		}
	}
	g.Advance(40 * day)
	nodes := []*postgres.Store{g.Store, g.node(t), g.node(t)}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for range 1000 {
				_, more, err := n.Expire(t.Context(), g.expiry(30*day, 30*day))
				if err != nil {
					t.Error(err)
				}
				if !more {
					return
				}
			}
			t.Error("there is always more")
		})
	}
	wg.Wait()
	if n := g.count(t, "SELECT count(*) FROM event WHERE part = 0"); n != len(waits) {
		t.Errorf("%d events are kept, want %d", n, len(waits))
	}
	for id := range waits {
		g.state(t, id.Delivery(1), seawall.Pending, 0)
	}
	if n := g.days(t); n != 5 {
		t.Errorf("%d days have tables, want 5", n)
	}
}

// A day's tables are added while others read and write: neither waits.
func TestG7_AddingADayHoldsUpNobody(t *testing.T) {
	g := newGateway(t)
	busy, err := g.connect(t).Begin(t.Context())
	must(t, err)
	for _, sql := range []string{"SELECT count(*) FROM event", "LOCK TABLE event, finished, attempt IN ROW EXCLUSIVE MODE"} {
		_, err = busy.Exec(t.Context(), sql)
		must(t, err)
	}
	days := g.days(t)
	g.Advance(2 * day)
	began := time.Now()
	g.expire(t, 30*day, 30*day)
	if n, took := g.days(t), time.Since(began); n != days+2 || took > 5*time.Second {
		t.Errorf("%d days became %d within %s", days, n, took)
	}
	must(t, busy.Rollback(t.Context()))
}

// Whoever reads for long, a backup say, is waited for only a moment, because
// those who accept wait behind it.
func TestG7_DroppingADayGivesWayToAReader(t *testing.T) {
	g := newGateway(t)
	g.ended(t, "1", seawall.Delivered)
	g.Advance(40 * day)
	g.expire(t, 50*day, 50*day)
	reader, err := g.connect(t).Begin(t.Context())
	must(t, err)
	_, err = reader.Exec(t.Context(), "SELECT count(*) FROM event")
	must(t, err)
	began := time.Now()
	g.expire(t, 30*day, 30*day)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it was waited for %s", took)
	}
	days := g.days(t)
	must(t, reader.Rollback(t.Context()))
	g.expire(t, 30*day, 30*day)
	if n := g.days(t); n != days {
		t.Errorf("it was tried again at once: %d days, then %d", days, n)
	}
	g.Advance(time.Minute)
	g.expire(t, 30*day, 30*day)
	if n := g.days(t); n != days-5 {
		t.Errorf("%d days have tables, want %d", n, days-5)
	}
}

// A follower does not go past an event that is not committed yet, whatever was
// committed behind it.
func TestG9_AFollowerWaitsForALateCommit(t *testing.T) {
	g := newGateway(t)
	g.accept(t, "1")
	late, err := g.conn.Begin(t.Context())
	must(t, err)
	var drawn int64
	must(t, late.QueryRow(t.Context(), "SELECT nextval('event_seq')").Scan(&drawn))
	g.accept(t, "3")
	follow := func() (seqs []int64) {
		t.Helper()
		l, err := g.ListEvents(t.Context(), store.EventFilter{After: -1}, store.Page{})
		must(t, err)
		for _, e := range l.Items {
			seqs = append(seqs, e.Seq)
		}
		return seqs
	}
	if got := follow(); len(got) > 1 || len(got) == 1 && got[0] > drawn {
		t.Errorf("with %d outstanding: %v", drawn, got)
	}
	if l, err := g.ListEvents(t.Context(), store.EventFilter{}, store.Page{}); err != nil || len(l.Items) != 2 {
		t.Errorf("the plain list waits too: %v, %v", l.Items, err)
	}
	must(t, late.Rollback(t.Context()))
	if got := follow(); len(got) != 2 {
		t.Errorf("after it ended: %v", got)
	}
}

// The role that serves needs to own nothing, and the tables may be in a schema
// of their own.
func TestServingRoleOwnsNothing(t *testing.T) {
	u, err := url.Parse(pgcluster.Shared(t))
	must(t, err)
	owner, err := pgx.Connect(t.Context(), u.String())
	must(t, err)
	defer owner.Close(t.Context())
	role := strings.TrimPrefix(u.Path, "/") + "_app"
	owns := u.String()
	for _, sql := range []string{"CREATE SCHEMA sea", "CREATE ROLE " + role + " LOGIN PASSWORD 'x'"} {
		_, err := owner.Exec(t.Context(), sql)
		must(t, err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		c, err := pgx.Connect(ctx, owns)
		must(t, err)
		defer c.Close(ctx)
		_, err = c.Exec(ctx, "DROP OWNED BY "+role+"; DROP ROLE "+role)
		must(t, err)
	})
	q := u.Query()
	q.Set("search_path", "sea")
	u.RawQuery = q.Encode()
	clock := storetest.NewClock()
	must(t, open(t, u.String(), postgres.Options{Now: clock.Now}).Close()) // as the owner: migrates
	for _, sql := range []string{
		"GRANT USAGE ON SCHEMA sea TO " + role,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sea TO " + role,
		"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA sea TO " + role,
		"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA sea TO " + role,
	} {
		_, err := owner.Exec(t.Context(), sql)
		must(t, err)
	}
	u.User = url.UserPassword(role, "x")
	g := &gateway{Clock: clock, url: u.String()}
	g.Store, g.conn = g.node(t), g.connect(t)
	e := g.ended(t, "1", seawall.Delivered)
	g.Advance(40 * day)
	g.expire(t, 30*day, 30*day)
	if _, err := g.Event(t.Context(), e); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	g.ended(t, "2", seawall.Delivered)
	if l, err := g.ListEvents(t.Context(), store.EventFilter{After: -1}, store.Page{}); err != nil || len(l.Items) != 1 {
		t.Errorf("followed: %v, %v", l.Items, err)
	}
	if _, err := g.Size(t.Context()); err != nil {
		t.Error(err)
	}
}
