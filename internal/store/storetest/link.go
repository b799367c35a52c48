package storetest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// linkTests are about which record an entity is in each system.
var linkTests = []test{
	{"TestLinksArePut", testPutLinks},
	{"TestLinksConflictAllOrNone", testPutLinksConflict},
	{"TestLinksAreListed", testListLinks},
	{"TestLinksAreRemoved", testUnlink},
	{"TestLinksAreMerged", testMerge},
	{"TestAliasesAreNeverOfAliases", testAliases},
	{"TestEventsTeachLinks", testAcceptLinks},
	{"TestASettlementTeachesLinks", lined(testSettleLinks)},
	{"TestWhatIsUnresolvedIsResolvedByALink", lined(testResolve)},
	{"TestG2_WhatGaveUpWaitsForItsLinkAgainWhenItIsReplayed", lined(testAwait)},
	{"TestG2_AWaitForALinkEnds", lined(testResolveEnds)},
	{"TestG5_WhatIsResolvedJoinsItsLine", lined(testResolveJoins)},
	{"TestLinksOutliveRestarts", testLinksRestart},
}

// link makes one of "order/1 crm 55".
func (s *suite) link(text string) seawall.Link {
	f := strings.Fields(text)
	return seawall.Link{Entity: f[0], System: f[1], Record: f[2], At: s.Clock.Now(), By: "ann"}
}

func (s *suite) putLinks(t *testing.T, texts ...string) {
	t.Helper()
	must(t, s.Store.PutLinks(t.Context(), s.links(texts...), seawall.Action{What: "link.put", On: "x", At: s.Clock.Now(), By: "ann"}))
}

func (s *suite) links(texts ...string) (ls []seawall.Link) {
	for _, text := range texts {
		ls = append(ls, s.link(text))
	}
	return ls
}

// linksOf checks an entity's links: "crm 55, stripe pi_1".
func (s *suite) linksOf(t *testing.T, entity, want string) {
	t.Helper()
	ls, err := s.Store.LinksOf(t.Context(), entity)
	must(t, err)
	var got []string
	for _, l := range ls {
		got = append(got, l.System+" "+l.Record)
	}
	if strings.Join(got, ", ") != want {
		t.Fatalf("%s has links %v, want %s", entity, got, want)
	}
}

// entityOf checks whose a record is.
func (s *suite) entityOf(t *testing.T, name, system, record, want string) {
	t.Helper()
	got, err := s.Store.EntityOf(t.Context(), name, system, record)
	must(t, err)
	if got != want {
		t.Fatalf("%s %s of %s is %q, want %q", name, record, system, got, want)
	}
}

func testPutLinks(t *testing.T, s *suite) {
	s.linksOf(t, "order/1", "")
	s.putLinks(t, "order/1 stripe pi_1", "order/1 crm 55", "order/2 crm 56", "user/1 crm 55")
	s.linksOf(t, "order/1", "crm 55, stripe pi_1")
	s.entityOf(t, "order", "crm", "55", "order/1")
	s.entityOf(t, "user", "crm", "55", "user/1")
	s.entityOf(t, "order", "stripe", "55", "")
	s.entityOf(t, "order", "crm", "57", "")
	s.actions(t, "x", "link.put")
	// In place of the one before; the record is free then.
	s.Clock.Advance(time.Hour)
	s.putLinks(t, "order/1 crm 57")
	s.linksOf(t, "order/1", "crm 57, stripe pi_1")
	s.entityOf(t, "order", "crm", "55", "")
	s.putLinks(t, "order/2 crm 55", "order/3 crm 56") // what one gives up another has
	s.linksOf(t, "order/2", "crm 55")
	s.linksOf(t, "order/3", "crm 56")
	ls, err := s.Store.LinksOf(t.Context(), "order/1")
	must(t, err)
	if l := ls[0]; l != (seawall.Link{Entity: "order/1", System: "crm", Record: "57", At: s.Clock.Now(), By: "ann"}) {
		t.Errorf("got %+v", l)
	}
}

func testPutLinksConflict(t *testing.T, s *suite) {
	s.putLinks(t, "order/1 crm 55")
	err := s.Store.PutLinks(t.Context(), s.links("order/2 stripe pi_2", "order/2 crm 55", "order/3 crm 57"), seawall.Action{What: "link.put", On: "y"})
	if !errors.Is(err, seawall.ErrConflict) || !strings.Contains(err.Error(), "order/1") || !strings.Contains(err.Error(), "55") {
		t.Errorf("got %v", err)
	}
	s.linksOf(t, "order/1", "crm 55")
	s.linksOf(t, "order/2", "")
	s.linksOf(t, "order/3", "")
	s.actions(t, "y")
	s.putLinks(t, "order/1 crm 55") // as it stands
	s.linksOf(t, "order/1", "crm 55")
}

func testListLinks(t *testing.T, s *suite) {
	var texts []string
	for i := range 7 {
		texts = append(texts, fmt.Sprintf("order/%d crm c%d", i, i), fmt.Sprintf("order/%d stripe s%d", i, i))
	}
	s.putLinks(t, append(texts, "user/1 crm c1")...)
	for _, c := range []struct {
		filter store.LinkFilter
		want   int
	}{
		{store.LinkFilter{}, 15}, {store.LinkFilter{Name: "order"}, 14}, {store.LinkFilter{Name: "orde"}, 0}, {store.LinkFilter{System: "crm"}, 8},
		{store.LinkFilter{Entity: "order/3"}, 2}, {store.LinkFilter{Name: "order", System: "stripe"}, 7}, {store.LinkFilter{System: "crm", Record: "c1"}, 2},
		{store.LinkFilter{Name: "user", Record: "c1"}, 1}, {store.LinkFilter{Record: "none"}, 0},
	} {
		seen := map[string]bool{}
		var last string
		for _, l := range collect(t, func(p store.Page) (store.List[seawall.Link], error) {
			return s.Store.ListLinks(t.Context(), c.filter, p)
		}) {
			key := l.Entity + " " + l.System
			if seen[key] || key < last || l.At.IsZero() || l.By != "ann" {
				t.Errorf("%+v: %+v after %s", c.filter, l, last)
			}
			seen[key], last = true, key
		}
		if len(seen) != c.want {
			t.Errorf("%+v: %d, want %d", c.filter, len(seen), c.want)
		}
	}
}

func testUnlink(t *testing.T, s *suite) {
	s.putLinks(t, "order/1 crm 55", "order/1 stripe pi_1")
	must(t, s.Store.Unlink(t.Context(), "order/1", "crm", seawall.Action{What: "link.remove", On: "order/1"}))
	s.linksOf(t, "order/1", "stripe pi_1")
	s.entityOf(t, "order", "crm", "55", "")
	s.actions(t, "order/1", "link.remove")
	for _, system := range []string{"crm", "none"} {
		if err := s.Store.Unlink(t.Context(), "order/1", system, seawall.Action{What: "link.remove", On: "order/1"}); !errors.Is(err, seawall.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	s.actions(t, "order/1", "link.remove")
}

func (s *suite) merge(t *testing.T, from, into string) {
	t.Helper()
	must(t, s.Store.Merge(t.Context(), from, into, seawall.Action{What: "merge", On: into, By: "ann", At: s.Clock.Now()}))
}

// aliases checks all of them, and returns their version.
func (s *suite) aliases(t *testing.T, want map[string]string) int64 {
	t.Helper()
	all, now, err := s.Store.Aliases(t.Context(), -1)
	must(t, err)
	if !maps.Equal(all, want) {
		t.Fatalf("aliases %v, want %v", all, want)
	}
	again, same, err := s.Store.Aliases(t.Context(), now)
	must(t, err)
	if again != nil || same != now {
		t.Errorf("read again: %v, version %d after %d", again, same, now)
	}
	return now
}

func testMerge(t *testing.T, s *suite) {
	before := s.aliases(t, nil)
	s.putLinks(t, "user/a crm 1", "user/a mail m1", "user/b crm 2")
	s.merge(t, "user/a", "user/b")
	s.linksOf(t, "user/b", "crm 2, mail m1")
	s.linksOf(t, "user/a", "crm 2, mail m1")
	s.entityOf(t, "user", "mail", "m1", "user/b")
	s.entityOf(t, "user", "crm", "1", "")
	if now := s.aliases(t, map[string]string{"user/a": "user/b"}); now <= before {
		t.Errorf("version %d after %d", now, before)
	}
	l, err := s.Store.ListActions(t.Context(), "user/b", store.Page{})
	must(t, err)
	if len(l.Items) != 1 || l.Items[0].What != "merge" || !strings.Contains(fmt.Sprint(l.Items[0].Detail), "1") || !strings.Contains(fmt.Sprint(l.Items[0].Detail), "crm") {
		t.Errorf("actions %+v", l.Items)
	}
	s.merge(t, "user/a", "user/b") // done already
	for from, into := range map[string]string{"user/b": "user/a", "user/c": "user/c"} {
		if err := s.Store.Merge(t.Context(), from, into, seawall.Action{}); !errors.Is(err, seawall.ErrConflict) {
			t.Errorf("%s into %s: %v", from, into, err)
		}
	}
	if err := s.Store.Merge(t.Context(), "user/c", "order/1", seawall.Action{}); err == nil {
		t.Error("a user became an order")
	}
	// What is written of the one is the other's.
	s.putLinks(t, "user/a shop 9")
	s.linksOf(t, "user/b", "crm 2, mail m1, shop 9")
	must(t, s.Store.Unlink(t.Context(), "user/a", "shop", seawall.Action{}))
	s.linksOf(t, "user/b", "crm 2, mail m1")
}

func testAliases(t *testing.T, s *suite) {
	s.putLinks(t, "user/a crm 1")
	s.merge(t, "user/a", "user/b")
	s.merge(t, "user/b", "user/c")
	s.merge(t, "user/d", "user/a") // which is c
	s.aliases(t, map[string]string{"user/a": "user/c", "user/b": "user/c", "user/d": "user/c"})
	s.linksOf(t, "user/d", "crm 1")
	s.entityOf(t, "user", "crm", "1", "user/c")
	if err := s.Store.Merge(t.Context(), "user/c", "user/a", seawall.Action{}); !errors.Is(err, seawall.ErrConflict) {
		t.Errorf("in a circle: %v", err)
	}
}

func testAcceptLinks(t *testing.T, s *suite) {
	teach := func(id string, texts ...string) {
		t.Helper()
		a := s.acceptance(s.event("shop", id, id), "orders")
		a.Links = s.links(texts...)
		for i := range a.Links {
			a.Links[i].By = a.Event.ID.String()
		}
		_, err := s.Store.Accept(t.Context(), []store.Acceptance{a})
		must(t, err)
	}
	teach("1", "order/1 stripe pi_1")
	s.linksOf(t, "order/1", "stripe pi_1")
	before, err := s.Store.LinksOf(t.Context(), "order/1")
	must(t, err)
	s.Clock.Advance(time.Hour)
	teach("2", "order/1 stripe pi_1", "order/1 crm 5") // an equal one that stands is left
	after, err := s.Store.LinksOf(t.Context(), "order/1")
	must(t, err)
	if len(after) != 2 || after[1] != before[0] || after[0].At != s.Clock.Now() {
		t.Errorf("got %+v, and %+v before", after, before)
	}
	s.actions(t, "order/1")
	// The first stands.
	teach("3", "order/1 stripe pi_2")
	s.linksOf(t, "order/1", "crm 5, stripe pi_1")
	s.actions(t, "order/1", "link.conflict")
	teach("4", "order/2 stripe pi_1", "order/2 crm 6")
	s.linksOf(t, "order/2", "crm 6")
	s.actions(t, "order/2", "link.conflict")
	s.entityOf(t, "order", "stripe", "pi_1", "order/1")
	// A duplicate teaches nothing.
	again := s.acceptance(s.event("shop", "4", "4"), "orders")
	again.Links = s.links("order/9 crm 9")
	_, err = s.Store.Accept(t.Context(), []store.Acceptance{again})
	must(t, err)
	s.linksOf(t, "order/9", "")
}

func testSettleLinks(x *line) {
	t := x.t
	x.putLinks(t, "order/9 crm 9")
	learn := func(state seawall.State, links, unlink []seawall.Link) {
		t.Helper()
		d := x.arrive(sequence("1"))
		in := x.ended(x.lease, d, state)
		in.Links, in.Unlink, in.Due = links, unlink, x.Clock.Now()
		x.settleAs(in, store.Done)
		if !state.Final() {
			x.deliver(d, nil)
		}
	}
	learn(seawall.Delivered, x.links("order/1 crm 1"), nil)
	x.linksOf(t, "order/1", "crm 1")
	learn(seawall.Pending, x.links("order/1 crm 2"), nil)
	x.linksOf(t, "order/1", "crm 2")
	x.actions(t, "order/1")
	learn(seawall.Delivered, x.links("order/1 crm 9", "order/1 mail m"), nil)
	x.linksOf(t, "order/1", "crm 2, mail m")
	x.actions(t, "order/1", "link.conflict")
	x.linksOf(t, "order/9", "crm 9")
	learn(seawall.Pending, nil, x.links("order/1 crm 3"))
	x.linksOf(t, "order/1", "crm 2, mail m")
	learn(seawall.Pending, nil, x.links("order/1 crm 2"))
	x.linksOf(t, "order/1", "mail m")
	learn(seawall.Delivered, x.links("order/1 mail n"), x.links("order/1 mail m"))
	x.linksOf(t, "order/1", "mail n")
	// An owner that is none any more teaches nothing.
	in := x.ended(x.lease, x.arrive(sequence("1")), seawall.Delivered)
	in.Links = x.links("order/1 late 1")
	in.Lease.Token--
	x.settleAs(in, store.Fenced)
	x.linksOf(t, "order/1", "mail n")
}

// unresolved accepts an event of a record whose entity is not known, planned onto two
// destinations.
func (x *line) unresolved(record string, wait time.Duration) *seawall.Event {
	x.t.Helper()
	a := x.plan(sequence("7"))
	e := a.Event
	e.Entity = ""
	d := &a.Deliveries[0]
	d.Entity, d.Rank, d.Order = "", nil, seawall.Unordered
	d.State, d.Reason, d.Due = seawall.Held, seawall.ReasonUnresolved, order.Never
	second := *d
	second.ID, second.Destination, second.System, second.Route = e.ID.Delivery(2), "audit", "audit", "to audit"
	a.Deliveries = append(a.Deliveries, second)
	a.Unresolved = &store.Record{Entity: "order", System: "stripe", Record: record, Until: x.Clock.Now().Add(wait)}
	_, err := x.Store.Accept(x.t.Context(), []store.Acceptance{a})
	must(x.t, err)
	x.is(a.Deliveries[0], "held unresolved")
	return e
}

// resolvable checks which events need not wait any longer, each with its entity.
func (x *line) resolvable(want ...string) {
	x.t.Helper()
	rs, err := x.Store.Resolvable(x.t.Context(), x.Clock.Now(), 100)
	must(x.t, err)
	got, wanted := map[string]bool{}, map[string]bool{}
	for _, r := range rs {
		got[fmt.Sprint(r.Event, " ", r.Record.Entity, " ", r.Record.System, " ", r.Record.Record, " ", r.Entity)] = true
	}
	for _, w := range want {
		wanted[w] = true
	}
	if !maps.Equal(got, wanted) {
		x.t.Fatalf("resolvable %v, want %v", got, wanted)
	}
}

// resolved are the deliveries of an event as planned once its entity is known.
func (x *line) resolved(e *seawall.Event, entity string) (*seawall.Event, []seawall.Delivery) {
	x.t.Helper()
	a := x.plan(member{version: "7", entity: entity})
	e.Entity, e.Version = entity, "7"
	e.Decisions = []seawall.Decision{{Route: "shop to orders", Matched: true, Why: "resolved"}}
	d := a.Deliveries[0]
	d.ID = e.ID.Delivery(1)
	second := d
	second.ID, second.Destination, second.System, second.Route = e.ID.Delivery(2), "audit", "audit", "to audit"
	return e, []seawall.Delivery{d, second}
}

func testResolve(x *line) {
	e := x.unresolved("pi_1", time.Hour)
	x.unresolved("pi_2", time.Hour)
	third := x.unresolved("pi_1", time.Hour)
	x.resolvable()
	x.ripens(0, 0)
	x.depths(0, 3, 0)
	x.putLinks(x.t, "user/1 stripe pi_1") // of another name
	x.resolvable()
	x.putLinks(x.t, "order/5 stripe pi_1")
	x.resolvable(e.ID.String()+" order stripe pi_1 order/5", third.ID.String()+" order stripe pi_1 order/5")
	if rs, err := x.Store.Resolvable(x.t.Context(), x.Clock.Now(), 1); err != nil || len(rs) != 1 {
		x.t.Errorf("%d of at most 1: %v", len(rs), err)
	}
	e, ds := x.resolved(e, "order/5")
	done, err := x.Store.Resolve(x.t.Context(), e, ds)
	must(x.t, err)
	if !done {
		x.t.Fatal("not done")
	}
	for _, d := range ds {
		got := x.is(d, "pending")
		if got.Entity != "order/5" || got.Order != seawall.Sequence || string(got.Rank) != string(d.Rank) || got.Destination != d.Destination || !got.Due.Equal(d.Due) {
			x.t.Errorf("got %+v, told %+v", got, d)
		}
	}
	kept, err := x.Store.Event(x.t.Context(), e.ID)
	must(x.t, err)
	if kept.Entity != "order/5" || kept.Version != "7" || len(kept.Decisions) != 1 || kept.Decisions[0].Why != "resolved" {
		x.t.Errorf("kept as %+v", kept)
	}
	x.depths(1, 2, 0)
	x.resolvable(third.ID.String() + " order stripe pi_1 order/5")
	if done, err := x.Store.Resolve(x.t.Context(), e, ds); err != nil || done {
		x.t.Errorf("resolved twice: %v, %v", done, err)
	}
	x.deliver(ds[0], nil)
}

func testResolveEnds(x *line) {
	e := x.unresolved("pi_1", time.Hour)
	x.Clock.Advance(time.Hour - time.Second)
	x.resolvable()
	x.Store = x.Reopen(x.t)
	x.lease = x.suite.lease(x.t, "n1", "orders")
	x.Clock.Advance(time.Second)
	x.resolvable(e.ID.String() + " order stripe pi_1 ")
	// One of its deliveries was canceled meanwhile, the other is to go without an
	// entity.
	if ended, err := x.Store.Cancel(x.t.Context(), []seawall.DeliveryID{e.ID.Delivery(2)}, "no", seawall.Action{}); err != nil || len(ended) != 1 {
		x.t.Fatalf("canceled %v, %v", ended, err)
	}
	_, ds := x.resolved(e, "")
	e.Entity = ""
	for i := range ds {
		ds[i].Entity, ds[i].Order, ds[i].Rank = "", seawall.Unordered, nil
	}
	ds[0].State, ds[0].Reason = seawall.Dead, "its entity did not become known"
	done, err := x.Store.Resolve(x.t.Context(), e, ds)
	must(x.t, err)
	if !done {
		x.t.Fatal("not done")
	}
	x.is(ds[0], "dead its entity did not become known")
	x.is(ds[1], "canceled no")
	x.resolvable()
	x.depths(0, 0, 1)
}

// What gave up and is replayed waits for its link again, and then goes as if it never
// had.
func testAwait(x *line) {
	e := x.unresolved("pi_1", time.Hour)
	x.Clock.Advance(time.Hour)
	_, ds := x.resolved(e, "")
	for i := range ds {
		ds[i].Entity, ds[i].Order, ds[i].Rank = "", seawall.Unordered, nil
		ds[i].State, ds[i].Reason = seawall.Dead, seawall.ReasonUnresolved
	}
	if done, err := x.Store.Resolve(x.t.Context(), e, ds); err != nil || !done {
		x.t.Fatalf("done %v: %v", done, err)
	}
	replayed, err := x.Store.Replay(x.t.Context(), []seawall.DeliveryID{ds[0].ID}, store.ReplayOptions{At: x.Clock.Now()}, seawall.Action{What: "replay"})
	must(x.t, err)
	if len(replayed) != 1 {
		x.t.Fatalf("replayed %+v", replayed)
	}
	in := x.ended(x.lease, replayed[0], seawall.Held)
	in.Attempt, in.Reason, in.Due = nil, seawall.ReasonUnresolved, x.Clock.Now().Add(time.Hour)
	x.settleAs(in, store.Done)
	for range 2 {
		must(x.t, x.Store.Await(x.t.Context(), e.ID, store.Record{Entity: "order", System: "stripe", Record: "pi_1", Until: x.Clock.Now().Add(time.Hour)}))
	}
	x.resolvable()
	x.putLinks(x.t, "order/5 stripe pi_1")
	x.resolvable(e.ID.String() + " order stripe pi_1 order/5")
	e, ds = x.resolved(e, "order/5")
	if done, err := x.Store.Resolve(x.t.Context(), e, ds); err != nil || !done {
		x.t.Fatalf("done %v: %v", done, err)
	}
	if got := x.is(ds[0], "pending"); got.Entity != "order/5" || got.Order != seawall.Sequence {
		x.t.Errorf("got %+v", got)
	}
	x.is(ds[1], "dead "+seawall.ReasonUnresolved) // it was not replayed
	x.deliver(ds[0], nil)

	// A link that is there before the wait begins is found.
	must(x.t, x.Store.Await(x.t.Context(), e.ID, store.Record{Entity: "order", System: "stripe", Record: "pi_1", Until: x.Clock.Now().Add(time.Hour)}))
	x.resolvable(e.ID.String() + " order stripe pi_1 order/5")
}

func testResolveJoins(x *line) {
	e := x.unresolved("pi_1", time.Hour)
	eight := x.arrive(sequence("8"))
	nine := x.arrive(sequence("9"))
	a := x.plan(member{version: "1", entity: "user/1"})
	a.Links = x.links("order/1 stripe pi_1")
	x.arriveAll(a)
	x.resolvable(e.ID.String() + " order stripe pi_1 order/1")
	e, ds := x.resolved(e, "order/1")
	ds[0].OnLate = seawall.LateHold
	done, err := x.Store.Resolve(x.t.Context(), e, ds)
	must(x.t, err)
	if !done || ds[0].State != seawall.Held || ds[0].Reason != seawall.ReasonEarlier {
		x.t.Fatalf("done %v: %+v", done, ds[0])
	}
	if p := x.position(); p.Waiting != 2 {
		x.t.Errorf("position %+v", p)
	}
	x.deliver(eight, &nine) // which is past 7: that is too late
	x.is(ds[0], "held late")
	x.deliver(nine, nil)
}

func testLinksRestart(t *testing.T, s *suite) {
	s.putLinks(t, "user/a crm 1", "user/b mail m")
	s.merge(t, "user/a", "user/b")
	version := s.aliases(t, map[string]string{"user/a": "user/b"})
	for _, again := range []func(*testing.T) store.Store{s.Reopen, s.Crash} {
		s.Store = again(t)
		if now := s.aliases(t, map[string]string{"user/a": "user/b"}); now != version {
			t.Errorf("version %d, and was %d", now, version)
		}
		s.linksOf(t, "user/a", "crm 1, mail m")
		s.entityOf(t, "user", "crm", "1", "user/b")
	}
}
