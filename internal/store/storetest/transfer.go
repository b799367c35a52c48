package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/transfer"
	"github.com/seawall-dev/seawall/seawall"
)

var transferTests = []test{
	{"TestG2_TransferLosesNothing", testTransfer},
	{"TestG3_TransferKeepsDedupe", testTransferKeepsKeys},
	{"TestG2_TransferGivesNoNumberTwice", testTransferKeepsCounters},
	{"TestG2_TransferGoesOnWhereItWasKilled", testTransferResumes},
	{"TestTransferRefusesWhatIsNotItsOwn", testTransferRefuses},
}

// RunTransfer runs the tests that move the harness's store into what Another
// opens, which may be of another engine.
func RunTransfer(t *testing.T, open func(t *testing.T) Harness) {
	run(t, open, transferTests)
}

// movable skips the test for an engine that cannot be moved yet.
func (s *suite) movable(t *testing.T) {
	if s.Another == nil {
		t.Skip("this engine cannot be moved into another store yet")
	}
}

// mover is a store that can be moved.
func mover(t *testing.T, s store.Store) store.Transfer {
	t.Helper()
	m, ok := s.(store.Transfer)
	if !ok {
		t.Fatalf("%T cannot be moved", s)
	}
	return m
}

// live fills a store with what there can be in one: everything that random
// operations make, and what people add.
func (s *suite) live(t *testing.T, seed uint64) *model {
	t.Helper()
	t.Logf("seed %d", seed)
	m := &model{suite: s, rand: rand.New(rand.NewPCG(seed, 2)), keys: map[string]seawall.EventID{}, leases: map[string]store.Lease{}}
	m.takeOver(t)
	steps := []func(*testing.T){m.acceptOne, m.acceptOne, m.acceptOne, m.settleOne, m.settleOne, m.begin, m.cancel, m.replay, m.advance}
	for i := range 250 {
		if i == 120 {
			m.takeOver(t) // tokens grow, what was begun is held
		}
		steps[m.rand.IntN(len(steps))](t)
	}
	ctx, now := t.Context(), s.Clock.Now()
	// Repeats of both kinds, more than are kept.
	for i := range 25 {
		_, err := s.Store.Accept(ctx, []store.Acceptance{s.acceptance(s.event("shop", "again", "x"), "orders")})
		must(t, err)
		_, err = s.Store.Accept(ctx, []store.Acceptance{s.acceptance(s.event("shop", "again", fmt.Sprint(i)), "orders")})
		must(t, err)
	}
	// What an event can be.
	long := s.event("lab", strings.Repeat("long", 50), strings.Repeat("body", 100_000))
	long.OccurredAt, long.Type, long.Entity, long.Version, long.Derived = now.Add(-time.Hour), "ünï", "order/7", "3", true
	long.Headers["X-Two"] = []string{"a", "b"}
	keyless := s.event("lab", "", "")
	keyless.Keyless, keyless.Headers, keyless.Cause, keyless.Depth = true, nil, long.ID, 2
	wrong := s.event("shop", "unplanned", "{}")
	for _, e := range []*seawall.Event{long, keyless, wrong} {
		a := s.acceptance(e, "orders", "audit")
		for i := range a.Deliveries {
			d := &a.Deliveries[i]
			d.Entity, d.Rank = e.Entity, []byte{1, 0, 255}
			if i == 1 {
				d.State, d.Reason, d.Finished = seawall.Superseded, "a later one", now
			}
		}
		if e == wrong {
			e.Routing, e.Decisions = seawall.PlanError, []seawall.Decision{{Route: "r", Why: "line 1", Error: true}}
			a.Deliveries = nil
		}
		_, err := s.Store.Accept(ctx, []store.Acceptance{a})
		must(t, err)
	}
	s.liveLines(t, m.leases["orders"])
	// New deliveries, and one pinned to its revision.
	var final []seawall.DeliveryID
	for _, d := range m.deliveries {
		if d.state.Final() {
			final = append(final, d.id)
		}
	}
	_, err := s.Store.Replay(ctx, final[:3], store.ReplayOptions{At: now.Add(time.Hour), NewID: true, Pin: true}, seawall.Action{At: now, By: "ann", What: "replay"})
	must(t, err)
	for i := range 5 {
		must(t, s.Store.Refuse(ctx, seawall.Arrival{Source: "shop", At: now, Verdict: seawall.Rejected, Reason: "signature_mismatch", Detail: "no",
			Status: 401, Remote: "192.0.2.9:1", Method: "POST", URL: "/in/shop", Headers: map[string][]string{"A": {"b"}}, Body: []byte{0, 1, byte(i)}, BodySize: 3}))
	}
	// A call that goes on elsewhere and has an answer, and what is known of systems.
	call := s.accept(t, "call", seawall.CallsTo("crm"))
	cl := s.lease(t, "n1", seawall.CallsTo("crm"))
	in := s.ended(cl, *s.delivery(t, call.ID.Delivery(1), seawall.Pending), seawall.Pending)
	in.Move, in.Due, in.Step = &store.Place{Lane: store.Lane{System: "ops"}, Destination: "ops"}, now, seawall.Check
	s.settle(t, in, store.Done)
	in = s.ended(s.lease(t, "n1", "ops"), *s.delivery(t, call.ID.Delivery(1), seawall.Pending), seawall.Delivered)
	in.Answer = &seawall.Answer{At: now, Status: 201, Headers: map[string][]string{"A": {"b"}}, Body: []byte{0, 1, 2}, Fallback: true}
	s.settle(t, in, store.Done)
	_, _, err = s.Store.SetSystem(ctx, store.SystemState{System: "crm", Breaker: seawall.BreakerOpen, Since: now, Until: now.Add(time.Minute), Opens: 2, Why: "HTTP 500"}, nil)
	must(t, err)
	_, _, err = s.Store.Take(ctx, "crm", store.Rate{Every: time.Second, Burst: 5}, 3)
	must(t, err)
	_, err = s.Store.PutSealed(ctx, store.Sealed{Name: "oauth2/crm", Key: "k1", Data: []byte{9, 0, 9}, At: now})
	must(t, err)
	// What is no text.
	must(t, s.Store.Refuse(ctx, seawall.Arrival{Source: "no\x00such", At: now, Verdict: seawall.Rejected, SourceID: "\xff\xfe", URL: "/in/\x00"}))
	must(t, s.Store.SetGate(ctx, store.GateState{Destination: "audit", Gate: seawall.Paused, Reason: "moving", By: "ann", At: now}, seawall.Action{At: now, What: "pause", On: "audit", Detail: map[string]string{"a": "b"}}))
	must(t, s.Store.AddToken(ctx, seawall.Token{Name: "ci", Hash: [32]byte{7}, Scopes: []string{"read"}, Created: now, Expires: now.Add(day)}, seawall.Action{}))
	for _, text := range []string{"a", "b"} {
		_, err := s.Store.AddRevision(ctx, now, "ann", []byte(text))
		must(t, err)
	}
	return m
}

// liveLines fills a store with lines in all that may become of them, and with links.
func (s *suite) liveLines(t *testing.T, l store.Lease) {
	t.Helper()
	x := &line{suite: s, t: t, lease: l}
	at := func(entity, version string) member { return member{entity: entity, version: version} }
	for i := range 12 { // more than a chunk
		x.end(x.arrive(at(fmt.Sprint("seen/", i), "3")), seawall.Delivered)
	}
	x.retry(x.arrive(at("retry/1", "5")), time.Hour)
	x.arrive(at("retry/1", "6"))
	in := x.ended(l, x.arrive(at("dead/1", "1")), seawall.Dead)
	in.Pass = s.Clock.Now().Add(time.Hour)
	x.settleAs(in, store.Done)
	x.arrive(at("dead/1", "2"))
	x.arrive(member{entity: "window/1", version: "1", settle: time.Minute})
	x.arrive(member{entity: "after/1", version: "1", after: []string{"a.b", "c.*"}, onWait: seawall.WaitHold, wait: time.Hour})
	x.arrive(member{entity: "after/1", version: "2", none: true, after: []string{"a.b"}, counts: true})
	x.arrive(member{entity: "seen/1", version: "1", late: seawall.LateHold})
	x.arrive(member{entity: "seen/2", version: "1"}) // late
	x.arrive(member{entity: "seen/3", version: "1", order: seawall.Latest})
	x.arrive(member{entity: "seen/3", version: "9", order: seawall.Latest, source: "stripe"})
	s.putLinks(t, "user/a crm 1", "user/b mail m", "user/c crm 3", "order/1 crm 1")
	s.merge(t, "user/a", "user/b")
	x.unresolved("pi_1", time.Hour)
	x.unresolved("pi_2", time.Hour)
	s.putLinks(t, "order/1 stripe pi_2")
}

// all is what a store shows of what it holds, by the ways that people have.
func (s *suite) all(t *testing.T, of store.Store) map[string]any {
	t.Helper()
	ctx, out := t.Context(), map[string]any{}
	events := collect(t, func(p store.Page) (store.List[seawall.Event], error) {
		return of.ListEvents(ctx, store.EventFilter{}, p)
	})
	out["events"] = len(events)
	for i := range events {
		id := events[i].ID
		e, err := of.Event(ctx, id)
		must(t, err)
		duplicates, conflicts, err := of.Arrived(ctx, id)
		must(t, err)
		ds, err := of.DeliveriesOf(ctx, id)
		must(t, err)
		out[id.String()] = []any{e, duplicates, conflicts, ds}
		for _, d := range ds {
			as, err := of.Attempts(ctx, d.ID)
			must(t, err)
			answers, err := of.Answers(ctx, []seawall.DeliveryID{d.ID})
			must(t, err)
			out[d.ID.String()] = []any{as, answers[d.ID]}
		}
	}
	arrivals := collect(t, func(p store.Page) (store.List[seawall.Arrival], error) {
		return of.ListArrivals(ctx, store.ArrivalFilter{}, p)
	})
	for _, a := range arrivals {
		whole, err := of.Arrival(ctx, a.ID)
		must(t, err)
		for _, text := range []*string{&whole.Source, &whole.SourceID, &whole.URL} { // which not every engine takes as it comes
			*text = strings.ReplaceAll(strings.ToValidUTF8(*text, "\uFFFD"), "\x00", "\uFFFD")
		}
		out[fmt.Sprint("arrival ", a.ID)] = whole
	}
	out["actions"] = collect(t, func(p store.Page) (store.List[seawall.Action], error) { return of.ListActions(ctx, "", p) })
	out["revisions"] = collect(t, func(p store.Page) (store.List[seawall.Revision], error) { return of.ListRevisions(ctx, p) })
	systems, err := of.SystemStates(ctx)
	must(t, err)
	sealed, err := of.ListSealed(ctx)
	must(t, err)
	out["systems"], out["sealed"] = append([]store.SystemState{}, systems...), append([]store.Sealed{}, sealed...)
	gates, err := of.Gates(ctx)
	must(t, err)
	tokens, err := of.ListTokens(ctx)
	must(t, err)
	pending, err := of.Pending(ctx)
	must(t, err)
	depths, err := of.Depths(ctx)
	must(t, err)
	entities := collect(t, func(p store.Page) (store.List[store.EntityState], error) {
		return of.ListEntities(ctx, store.EntityFilter{}, p)
	})
	out["entities"] = entities
	for _, e := range entities {
		ps, err := of.Positions(ctx, e.Entity)
		must(t, err)
		out["positions of "+e.Entity] = ps
	}
	out["links"] = collect(t, func(p store.Page) (store.List[seawall.Link], error) {
		return of.ListLinks(ctx, store.LinkFilter{}, p)
	})
	aliases, merges, err := of.Aliases(ctx, -1)
	must(t, err)
	resolvable, err := of.Resolvable(ctx, s.Clock.Now().Add(day), 1000)
	must(t, err)
	out["aliases"], out["resolvable"] = fmt.Sprint(aliases, merges), append([]store.Resolvable{}, resolvable...)
	// Queues that were used and are empty are no part of what is held.
	depths = slices.DeleteFunc(depths, func(d store.Depth) bool { return d == store.Depth{Destination: d.Destination} })
	slices.SortFunc(depths, func(a, b store.Depth) int { return strings.Compare(a.Destination, b.Destination) })
	out["gates"], out["tokens"] = append([]store.GateState{}, gates...), append([]seawall.Token{}, tokens...)
	out["pending"], out["depths"] = append([]store.PendingQueue{}, pending...), append([]store.Depth{}, depths...)
	return out
}

// same checks that two stores show the same.
func (s *suite) same(t *testing.T, a, b store.Store) {
	t.Helper()
	want, got := s.all(t, a), s.all(t, b)
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s is new", key)
		}
	}
	for key := range want {
		w, err := json.Marshal(want[key])
		must(t, err)
		g, err := json.Marshal(got[key])
		must(t, err)
		if string(w) != string(g) {
			t.Errorf("%s: got\n%.2000s\nwant\n%.2000s", key, g, w)
		}
	}
}

func testTransfer(t *testing.T, s *suite) {
	s.movable(t)
	m := s.live(t, uint64(time.Now().UnixNano()))
	to := s.Another(t)
	r, err := transfer.Move(t.Context(), mover(t, s.Store), mover(t, to), transfer.Options{Chunk: 10})
	must(t, err)
	if r.Resumed || r.Already || len(r.Parts) != len(store.Parts) || r.Parts[0].Rows == 0 || r.Parts[0].Deliveries == 0 || r.Parts[0].Attempts == 0 {
		t.Errorf("report %+v", r)
	}
	s.same(t, s.Store, to)

	// It goes on as the other would have.
	last := newest(t, s.Store)
	tokens := map[string]int64{}
	for d, l := range m.leases {
		tokens[d] = l.Token
	}
	s.Store = to
	m.restarted()
	m.takeOver(t)
	for d, l := range m.leases {
		if l.Token <= tokens[d] {
			t.Errorf("the lane of %s has token %d, and had %d before", d, l.Token, tokens[d])
		}
	}
	if e := s.accept(t, "the next", "orders"); e.Seq <= last {
		t.Errorf("the next event has number %d, and there was %d before", e.Seq, last)
	}
	for range 100 {
		m.settleOne(t)
		m.replay(t)
	}
	for _, d := range m.deliveries {
		s.delivery(t, d.id, d.state)
	}
	if n, _, err := to.Take(t.Context(), "crm", store.Rate{Every: day, Burst: 5}, 5); err != nil || n != 2 {
		t.Errorf("took %d permits of 5, of which 3 were used: %v", n, err)
	}
	must(t, s.Store.Refuse(t.Context(), seawall.Arrival{Source: "shop", At: s.Clock.Now(), Verdict: seawall.Rejected}))
	rev, err := s.Store.AddRevision(t.Context(), s.Clock.Now(), "ann", []byte("c"))
	must(t, err)
	if rev.Number != 3 {
		t.Errorf("the next revision is %d", rev.Number)
	}
}

// newest is the highest accept sequence number there is.
func newest(t *testing.T, s store.Store) int64 {
	t.Helper()
	l, err := s.ListEvents(t.Context(), store.EventFilter{}, store.Page{Limit: 1})
	must(t, err)
	return l.Items[0].Seq
}

func testTransferKeepsKeys(t *testing.T, s *suite) {
	s.movable(t)
	first := s.accept(t, "a", "orders")
	long := strings.Repeat("x", 300)
	second := s.accept(t, long, "orders")
	s.Clock.Advance(horizon + time.Second)
	third := s.accept(t, "a", "orders") // has the key now
	to := s.Another(t)
	_, err := transfer.Move(t.Context(), mover(t, s.Store), mover(t, to), transfer.Options{})
	must(t, err)
	s.Store = to
	again := s.event("shop", "a", `{"id":"a"}`)
	s.again(t, again, seawall.Duplicate, third.ID)
	s.again(t, s.event("shop", "a", "other"), seawall.Conflict, third.ID)
	s.accept(t, long, "orders") // past its horizon
	for id, want := range map[seawall.EventID]int{first.ID: 0, second.ID: 0, third.ID: 1} {
		duplicates, conflicts, err := to.Arrived(t.Context(), id)
		must(t, err)
		if duplicates != want || conflicts != want {
			t.Errorf("%s: %d duplicates, %d conflicts, want %d", id, duplicates, conflicts, want)
		}
	}
}

func testTransferKeepsCounters(t *testing.T, s *suite) {
	s.movable(t)
	first := s.accept(t, "a")
	for range 3 {
		s.again(t, s.event("shop", "a", `{"id":"a"}`), seawall.Duplicate, first.ID)
	}
	s.Clock.Advance(2 * horizon)
	if n := s.expire(t, horizon, horizon); n != 1 {
		t.Fatalf("%d events expired, want 1", n)
	}
	to := s.Another(t)
	_, err := transfer.Move(t.Context(), mover(t, s.Store), mover(t, to), transfer.Options{})
	must(t, err)
	s.Store = to
	if e := s.accept(t, "b"); e.Seq <= first.Seq {
		t.Errorf("the next event has number %d, and there was %d before", e.Seq, first.Seq)
	}
}

// killed fails at a call of Import, before or after it took effect.
type killed struct {
	store.Transfer
	left  int
	after bool
}

var errKilled = errors.New("killed")

func (k *killed) Import(ctx context.Context, c store.Chunk) error {
	k.left--
	if k.left > 0 {
		return k.Transfer.Import(ctx, c)
	}
	if k.after {
		if err := k.Transfer.Import(ctx, c); err != nil {
			return err
		}
	}
	return errKilled
}

func testTransferResumes(t *testing.T, s *suite) {
	s.movable(t)
	seed := uint64(time.Now().UnixNano())
	s.live(t, seed)
	to := s.Another(t)
	random := rand.New(rand.NewPCG(seed, 3))
	for n := 0; ; n++ {
		k := &killed{Transfer: mover(t, to), left: 1 + random.IntN(len(store.Parts)+2), after: random.IntN(2) == 0}
		r, err := transfer.Move(t.Context(), mover(t, s.Store), k, transfer.Options{Chunk: 7})
		if err == nil {
			if n < 3 || !r.Resumed {
				t.Errorf("killed %d times, report %+v", n, r)
			}
			break
		}
		if !errors.Is(err, errKilled) || n > 200 {
			t.Fatal(err)
		}
	}
	s.same(t, s.Store, to)
	r, err := transfer.Move(t.Context(), mover(t, s.Store), mover(t, to), transfer.Options{})
	if err != nil || !r.Already {
		t.Errorf("once more: %+v, %v", r, err)
	}
	s.accept(t, "after the move", "orders")
	if _, err := transfer.Move(t.Context(), mover(t, s.Store), mover(t, to), transfer.Options{}); !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
		t.Errorf("the source went on: %v", err)
	}
}

func testTransferRefuses(t *testing.T, s *suite) {
	s.movable(t)
	ctx := t.Context()
	s.accept(t, "a", "orders")
	move := func(from, to store.Store) error {
		_, err := transfer.Move(ctx, mover(t, from), mover(t, to), transfer.Options{})
		return err
	}
	if err := move(s.Store, s.Store); !errors.Is(err, seawall.ErrInvalid) {
		t.Errorf("into itself: %v", err)
	}
	own := s.Another(t)
	_, err := own.AddRevision(ctx, s.Clock.Now(), "ann", []byte("x"))
	must(t, err)
	if err := move(s.Store, own); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("into one that has something of its own: %v", err)
	}
	// Half a copy is neither a target for others nor a source.
	half := s.Another(t)
	from := mover(t, s.Store)
	id, err := from.Identity(ctx)
	must(t, err)
	must(t, mover(t, half).Adopt(ctx, id.ID))
	if err := move(own, half); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("into what is being copied from another: %v", err)
	}
	if err := move(half, s.Another(t)); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("from half a copy: %v", err)
	}
	// A chunk that does not follow is refused, one that is there already is not
	// written again.
	c, err := from.Export(ctx, store.PartEvents, 0, 10)
	must(t, err)
	gap := c
	gap.After, gap.Next = c.Next+5, c.Next+6
	if err := mover(t, half).Import(ctx, gap); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("a gap: %v", err)
	}
	for range 2 {
		must(t, mover(t, half).Import(ctx, c))
	}
	must(t, move(s.Store, half))
	s.same(t, s.Store, half)

	// What was changed on the way is found.
	changed := s.Another(t)
	must(t, mover(t, changed).Adopt(ctx, id.ID))
	c.Events[0].Event.Body = []byte("changed")
	must(t, mover(t, changed).Import(ctx, c))
	if err := move(s.Store, changed); !errors.Is(err, seawall.ErrConflict) || !strings.Contains(err.Error(), "events differ") {
		t.Errorf("a copy that differs: %v", err)
	}
}
