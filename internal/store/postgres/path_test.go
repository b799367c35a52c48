package postgres_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/faultproxy"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// orders is a lane and the destination in it.
var orders = store.Lane{System: "orders"}

func newEvent(now time.Time, id, body string) store.Acceptance {
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: id, ReceivedAt: now, Body: []byte(body), Revision: 1}
	a := store.Acceptance{Event: e, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{
		{ID: e.ID.Delivery(1), Route: "shop to orders", Destination: "orders", System: "orders", Due: now, Revision: 1}}}
	sum := sha256.Sum256(e.Body)
	copy(a.BodyHash[:], sum[:])
	return a
}

func accept(t *testing.T, s *postgres.Store, a store.Acceptance) store.Accepted {
	t.Helper()
	out, err := s.Accept(t.Context(), []store.Acceptance{a})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func lease(t *testing.T, s *postgres.Store, node string) store.Lease {
	t.Helper()
	ls, err := s.Acquire(t.Context(), node, []store.Lane{orders}, time.Minute)
	if err != nil || len(ls) != 1 {
		t.Fatalf("acquired %v: %v", ls, err)
	}
	return ls[0]
}

func claim(t *testing.T, s *postgres.Store, l store.Lease, now time.Time) (ids []string) {
	t.Helper()
	due, _, err := s.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: now, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range due {
		ids = append(ids, c.Event.SourceID)
	}
	return ids
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// awaitLock waits until a session of the store waits for another's lock.
func awaitLock(t *testing.T, c *pgx.Conn) {
	t.Helper()
	awaitLocks(t, c, 1)
}

func awaitLocks(t *testing.T, c *pgx.Conn, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		var waits bool
		err := c.QueryRow(t.Context(), `SELECT count(*) >= $1 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`, n).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		if waits {
			return
		}
	}
	t.Fatal("nobody waits for a lock")
}

// A takeover that is not committed yet holds up the old owner's settlement,
// which then finds itself fenced, though it began before.
func TestG4_SettlementWaitsForATakeoverUnderWay(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url, postgres.Options{})
	a := newEvent(time.Now(), "1", "x")
	accept(t, s, a)
	old := lease(t, s, "n1")
	other, watch := connect(t, url), connect(t, url)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "UPDATE lane SET node = 'n2', token = token + 1"); err != nil {
		t.Fatal(err)
	}
	settled := make(chan []store.Settled, 1)
	go func() {
		out, err := s.Settle(context.WithoutCancel(t.Context()), []store.Settlement{benchSettlement(old, a.Deliveries[0])})
		if err != nil {
			t.Error(err)
		}
		settled <- out
	}()
	awaitLock(t, watch)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := <-settled; !slices.Equal(out, []store.Settled{store.Fenced}) {
		t.Errorf("settled as %v, want fenced", out)
	}
	if d, err := s.Delivery(t.Context(), a.Deliveries[0].ID); err != nil || d.State != seawall.Pending {
		t.Errorf("the delivery is %+v: %v", d, err)
	}
}

// What another node commits late, behind what was claimed already, is claimed
// without a rescan.
func TestG2_TheCursorTrailsLateCommits(t *testing.T) {
	t.Parallel()
	url, clock := database(t), storetest.NewClock()
	s := open(t, url, postgres.Options{Now: clock.Now})
	second := open(t, url, postgres.Options{Now: clock.Now})
	accept(t, s, newEvent(clock.Now(), "first", "x")) // makes the names
	l := lease(t, s, "n1")
	if got := claim(t, s, l, clock.Now()); !slices.Equal(got, []string{"first"}) {
		t.Fatalf("claimed %v", got)
	}
	other, watch := connect(t, url), connect(t, url)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `INSERT INTO dedupe (source, key, event, body, expires)
		SELECT id, '\x00'::bytea || 'late', gen_random_uuid(), '', 'infinity' FROM name WHERE text = 'shop'`); err != nil {
		t.Fatal(err)
	}
	late := newEvent(clock.Advance(time.Second), "late", "x")
	done := make(chan error, 1)
	go func() {
		_, err := second.Accept(context.WithoutCancel(t.Context()), []store.Acceptance{late})
		done <- err
	}()
	awaitLock(t, watch)
	accept(t, s, newEvent(clock.Advance(time.Second), "early", "x"))
	if got := claim(t, s, l, clock.Advance(time.Second)); !slices.Contains(got, "early") {
		t.Fatalf("claimed %v", got)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := claim(t, s, l, clock.Advance(time.Second)); !slices.Contains(got, "late") {
		t.Errorf("claimed %v: the late one is passed over", got)
	}
	// What is long past is not read again, unless asked for.
	clock.Advance(time.Minute)
	claim(t, s, l, clock.Now())
	if got := claim(t, s, l, clock.Now()); len(got) != 0 {
		t.Errorf("claimed %v again", got)
	}
}

// behind opens a store through a proxy to its server.
func behind(t *testing.T, o postgres.Options) (*postgres.Store, *faultproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(database(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := faultproxy.New(u.Host, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.LoseReply(nil)
	u.Host = p.Addr
	return open(t, u.String(), o), p
}

// loseOne loses the reply to the next transaction with such a statement.
func loseOne(p *faultproxy.Proxy, has string) {
	lost := false
	p.LoseReply(func(sql []string) bool {
		if lost || !slices.ContainsFunc(sql, func(s string) bool { return strings.Contains(s, has) }) {
			return false
		}
		lost = true
		return true
	})
}

// The reply to a commit is lost: the caller hears that it is not known, and to
// repeat it writes nothing twice.
func TestG1_ALostCommitIsNotKnownAndMayBeRepeated(t *testing.T) {
	t.Parallel()
	s, p := behind(t, postgres.Options{})
	first := newEvent(time.Now(), "1", "x")
	accept(t, s, first) // prepares
	l := lease(t, s, "n1")

	a := newEvent(time.Now(), "2", "x")
	loseOne(p, "INSERT INTO dedupe")
	if _, err := s.Accept(t.Context(), []store.Acceptance{a}); !errors.Is(err, seawall.ErrUnavailable) {
		t.Fatalf("accepted without an answer: %v", err)
	}
	if p.Lost() != 1 {
		t.Fatalf("%d replies were lost, want 1", p.Lost())
	}
	if out := accept(t, s, newEvent(time.Now(), "2", "x")); out != (store.Accepted{Verdict: seawall.Duplicate, Event: a.Event.ID}) {
		t.Errorf("the sender's retry is %v", out)
	}
	if out := accept(t, s, a); out.Verdict != seawall.New || a.Event.Seq == 0 {
		t.Errorf("the very same is %v with sequence %d, want new", out, a.Event.Seq)
	}

	retry := benchSettlement(l, first.Deliveries[0])
	retry.State, retry.Due = seawall.Pending, time.Now()
	end := benchSettlement(l, first.Deliveries[0])
	end.Attempt.N, end.Attempt.At = 2, end.Attempt.At.Add(time.Second)
	for n, in := range []store.Settlement{retry, end} {
		in.Seq = first.Event.Seq
		loseOne(p, "DELETE FROM delivery")
		if _, err := s.Settle(t.Context(), []store.Settlement{in}); !errors.Is(err, seawall.ErrUnavailable) {
			t.Fatalf("settled without an answer: %v", err)
		}
		if p.Lost() != n+2 {
			t.Fatalf("%d replies were lost, want %d", p.Lost(), n+2)
		}
		out, err := s.Settle(t.Context(), []store.Settlement{in})
		if err != nil || out[0] != store.Done {
			t.Errorf("settled again as %v: %v", out, err)
		}
		if as, err := s.Attempts(t.Context(), in.Delivery); err != nil || len(as) != n+1 {
			t.Errorf("%d attempts, want %d: %v", len(as), n+1, err)
		}
	}
}

// A call whose event's id is taken fails alone, and what it shares a batch with
// is accepted.
func TestG7_NobodyPaysForANeighbour(t *testing.T) {
	t.Parallel()
	url := database(t)
	s := open(t, url, postgres.Options{})
	taken := newEvent(time.Now(), "taken", "x")
	accept(t, s, taken)
	other, watch := connect(t, url), connect(t, url)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE dedupe IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 20)
	accepts := func(a store.Acceptance) {
		go func() {
			_, err := s.Accept(context.WithoutCancel(t.Context()), []store.Acceptance{a})
			errs <- err
		}()
	}
	accepts(newEvent(time.Now(), "waits", "x"))
	awaitLock(t, watch)
	for i := range 10 { // these wait for it, and then share a batch
		a := newEvent(time.Now(), fmt.Sprint(i), "x")
		if i == 5 {
			a.Event.ID = taken.Event.ID
			a.Deliveries[0].ID = taken.Event.ID.Delivery(1)
		}
		accepts(a)
	}
	for s.Stats().Waiting < 10 {
		if t.Context().Err() != nil {
			t.Fatal("they do not wait")
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 11 {
		if err := <-errs; err != nil {
			failed++
			if !errors.Is(err, seawall.ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d failed, want the one", failed)
	}
}

// A body of any size and kind comes back as it was.
func TestG2_BodiesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), postgres.Options{})
	noise := make([]byte, 100<<10)
	rand.Read(noise)
	for i, body := range []string{"", "x", strings.Repeat("a", 2<<10), strings.Repeat("b", 2<<10+1), strings.Repeat("compress me ", 100_000), string(noise)} {
		a := newEvent(time.Now(), fmt.Sprint(i), body)
		accept(t, s, a)
		e, err := s.Event(t.Context(), a.Event.ID)
		if err != nil || string(e.Body) != body {
			t.Errorf("a body of %d bytes came back with %d: %v", len(body), len(e.Body), err)
		}
	}
}

// The server is restarted: calls meanwhile fail as unavailable, and later ones
// succeed without anybody's help.
func TestG1_AServerThatRestartsIsFoundAgain(t *testing.T) {
	t.Parallel()
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	if err := c.CreateDatabase("seawall", ""); err != nil {
		t.Fatal(err)
	}
	s := open(t, c.URL("seawall"), postgres.Options{})
	accept(t, s, newEvent(time.Now(), "1", "x"))
	heard := make(chan store.Signal, 10)
	ctx, cancel := context.WithCancel(t.Context())
	listened := make(chan error, 1)
	go func() { listened <- s.Listen(ctx, func(sig store.Signal) { heard <- sig }) }()
	<-heard
	if err := c.Stop(pgcluster.Fast); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "2", "x")}); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if out := accept(t, s, newEvent(time.Now(), "2", "x")); out.Verdict != seawall.New {
		t.Errorf("after the restart: %v", out)
	}
	l := lease(t, s, "n1")
	if got := claim(t, s, l, time.Now()); len(got) != 2 {
		t.Errorf("claimed %v", got)
	}
	select {
	case sig := <-heard:
		if sig != (store.Signal{}) {
			t.Errorf("heard %+v, want that something may have been missed", sig)
		}
	case <-time.After(20 * time.Second):
		t.Error("signals are not heard again")
	}
	cancel()
	if err := <-listened; err != nil {
		t.Error(err)
	}
}

// A network that swallows everything fails calls within their bound, and is used
// again when it is back.
func TestG1_ADarkNetworkFailsCallsInTime(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for timeouts")
	}
	s, p := behind(t, postgres.Options{})
	a := newEvent(time.Now(), "1", "x")
	accept(t, s, a)
	l := lease(t, s, "n1")
	p.Set(faultproxy.Weather{Dark: true})
	began := time.Now()
	errs := make(chan error)
	calls := []func() error{
		func() error {
			_, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "2", "x")})
			return err
		},
		func() error {
			_, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "3", "x")})
			return err
		},
		func() error {
			_, err := s.Settle(t.Context(), []store.Settlement{benchSettlement(l, a.Deliveries[0])})
			return err
		},
		func() error { _, err := s.Renew(t.Context(), []store.Lease{l}, time.Minute); return err },
		func() error {
			_, _, err := s.Claim(t.Context(), l, store.Claim{Destination: "orders", Now: time.Now(), Limit: 1})
			return err
		},
	}
	for _, call := range calls {
		go func() { errs <- call() }()
	}
	for range calls {
		if err := <-errs; !errors.Is(err, seawall.ErrUnavailable) {
			t.Errorf("in the dark: %v", err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	p.Set(faultproxy.Weather{})
	for deadline := time.Now().Add(20 * time.Second); ; {
		out, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "4", "x")})
		if err == nil {
			if out[0].Verdict != seawall.New {
				t.Errorf("back in the light: %v", out)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("back in the light: %v", err)
		}
	}
}
