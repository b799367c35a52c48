package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/seawall"
)

// ordered plans the events of hub: orders by their version, into a by one route.
func ordered(t *testing.T, r config.Route, change ...func(*config.Config)) *Planner {
	r.Name, r.From, r.To = "r", "hub", "a"
	c := &config.Config{
		Entities: []*config.Entity{
			{Name: "order", Claims: []config.Claim{{Source: "hub", Types: []string{"order.*"}, Key: code(t, ".id"), Version: codes(t, ".v")}}},
			{Name: "user", Claims: []config.Claim{{Source: "hub", Types: []string{"user.*"}, Key: code(t, ".id")}}},
		},
		Routes: []*config.Route{&r},
	}
	for _, f := range change {
		f(c)
	}
	return New(c)
}

func one(t *testing.T, p *Planner, ev *seawall.Event) (seawall.Delivery, []seawall.Decision) {
	t.Helper()
	_, decisions, ds := p.Plan(1, ev, now)
	if len(ds) != 1 {
		t.Fatalf("%d deliveries: %v", len(ds), decisions)
	}
	return ds[0], decisions
}

func mustRank(t *testing.T, parts []string, how ...order.Comparison) []byte {
	t.Helper()
	r, err := order.Rank(parts, how...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestG5_ARouteOrdersTheEventsOfItsEntity(t *testing.T) {
	r := config.Route{Entity: "order", Order: seawall.Sequence, Late: seawall.LateHold, Settle: 2 * time.Second}
	p := ordered(t, r)
	ev := event("order.paid", `{"id":7,"v":3}`)
	ev.ReceivedAt = now
	d, decisions := one(t, p, ev)
	if decisions[0].Why != "" || d.Order != seawall.Sequence || d.OnLate != seawall.LateHold || !d.Lined() || d.Counts || d.After != nil || len(decisions) != 1 {
		t.Errorf("%+v", d)
	}
	if !d.Due.Equal(now.Add(2*time.Second)) || !d.Since.Equal(now) || d.State != seawall.Pending {
		t.Errorf("due %v, since %v, %s", d.Due, d.Since, d.State)
	}
	if want := order.On("hub", mustRank(t, []string{"3"})); !bytes.Equal(d.Rank, want) {
		t.Errorf("rank %x, want %x", d.Rank, want)
	}

	// Its window counts from when it came, not from when it is planned again.
	ev.ReceivedAt = now.Add(-time.Minute)
	if d, _ := one(t, p, ev); !d.Due.Before(now) {
		t.Errorf("planned again: due %v", d.Due)
	}

	// What is about another entity, or about none, goes beside.
	for kind, body := range map[string]string{"user.new": `{"id":1}`, "order.odd": `{"v":1}`, "other": `{}`} {
		d, decisions := one(t, p, event(kind, body))
		if d.Lined() || d.Rank != nil || !d.Due.Equal(now) {
			t.Errorf("%s: %+v", kind, d)
		}
		if said := decisions[len(decisions)-1]; !said.Matched || said.Why != "as it comes: it is not about the entity order" {
			t.Errorf("%s: says %+v", kind, said)
		}
	}
}

// Without a version, or with one that cannot be compared as it should, an event
// ranks by its clock alone; that is told.
func TestG5_WithoutAVersionTheClockIsAllThatIsKnown(t *testing.T) {
	integers := func(c *config.Config) { c.Entities[0].Claims[0].Compare = []order.Comparison{order.Integer} }
	for _, c := range []struct {
		name, body, why string
		version         string
	}{
		{name: "none", body: `{"id":1}`, why: "entity order: no version"},
		{name: "fails", body: `{"id":1,"v":[]}`, why: "!entity order: version: gives an array, where a text or a number is wanted"},
		{name: "not as it should", body: `{"id":1,"v":"1.5"}`, why: `!entity order: version: "1.5" is not a whole number`, version: "1.5"},
	} {
		p := ordered(t, config.Route{Entity: "order", Order: seawall.Latest}, integers)
		ev := event("order.paid", c.body)
		d, decisions := one(t, p, ev)
		if clock, bare := order.ClockOf(d.Rank); clock != "hub" || !bare || d.Order != seawall.Latest || d.Entity != "order/1" || ev.Version != c.version {
			t.Errorf("%s: %+v, version %q", c.name, d, ev.Version)
		}
		why, failed := strings.CutPrefix(c.why, "!")
		if len(decisions) != 2 || decisions[0].Why != why || decisions[0].Error != failed {
			t.Errorf("%s: %+v", c.name, decisions)
		}
	}
	// Without a stated comparison, and where nothing is ordered by it, a version is only a text.
	p := ordered(t, config.Route{})
	if d, decisions := one(t, p, event("order.paid", `{"id":1,"v":"x"}`)); d.Rank != nil || len(decisions) != 1 {
		t.Errorf("%+v, %+v", d, decisions)
	}
}

func TestG5_VersionsOfTheProviderAndTheTimeRankToo(t *testing.T) {
	p := ordered(t, config.Route{Entity: "user", Order: seawall.Sequence})
	ev := event("user.new", `{"id":1}`)
	ev.Version = "2026-11-24T12:00:00+01:00"
	byProvider, _ := one(t, p, ev)
	ev = event("user.new", `{"id":1}`)
	ev.OccurredAt = time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	byTime, _ := one(t, p, ev)
	if clock, bare := order.ClockOf(byProvider.Rank); clock != "hub" || bare || !bytes.Equal(byProvider.Rank, byTime.Rank) {
		t.Errorf("%x and %x", byProvider.Rank, byTime.Rank)
	}
	bare, _ := one(t, p, event("user.new", `{"id":1}`))
	if clock, none := order.ClockOf(bare.Rank); clock != "hub" || !none {
		t.Errorf("%x", bare.Rank)
	}
}

// Only with clock: shared do versions of several sources compare.
func TestG5_ClocksAreASourcesOwnUnlessShared(t *testing.T) {
	for shared, want := range map[bool][2]string{false: {"hub", "shop"}, true: {"", ""}} {
		p := ordered(t, config.Route{Entity: "order", Order: seawall.Sequence}, func(c *config.Config) {
			e := c.Entities[0]
			e.Shared = shared
			e.Claims = append(e.Claims, config.Claim{Source: "shop", Key: code(t, ".id"), Version: codes(t, ".v")})
			c.Routes = append(c.Routes, &config.Route{Name: "s", From: "shop", To: "a", Entity: "order", Order: seawall.Sequence})
		})
		hub, shop := event("order.paid", `{"id":1,"v":1}`), event("x", `{"id":1,"v":2}`)
		shop.Source = "shop"
		for i, ev := range []*seawall.Event{hub, shop} {
			d, _ := one(t, p, ev)
			if clock, bare := order.ClockOf(d.Rank); clock != want[i] || bare {
				t.Errorf("shared %t: %s ranks by %q", shared, ev.Source, clock)
			}
		}
	}
	// What the gateway tells of a delivery has its entity, and no version of it.
	p := ordered(t, config.Route{}, func(c *config.Config) {
		c.Routes[0].From, c.Routes[0].Entity, c.Routes[0].Order = seawall.SourceOutcomes, "order", seawall.Latest
	})
	ev := event("delivery.dead", `{}`)
	ev.Source, ev.Entity = seawall.SourceOutcomes, "order/1"
	if d, _ := one(t, p, ev); d.Order != seawall.Latest || string(d.Rank) != seawall.SourceOutcomes+"\x00" {
		t.Errorf("%+v", d)
	}
}

func TestG5_PrerequisitesHoldWhatIsNoneItself(t *testing.T) {
	p := ordered(t, config.Route{
		Entity: "order", After: []string{"order.created", "order.pa*"}, Wait: time.Minute, Then: seawall.WaitHold,
	}, func(c *config.Config) {
		c.Routes = append(c.Routes,
			&config.Route{Name: "same", From: "lab", To: "a", Entity: "order", After: []string{"order.pa*", "order.p*"}},
			&config.Route{Name: "elsewhere", From: "lab", To: "b", Entity: "order", After: []string{"*"}},
			&config.Route{Name: "of another", From: "lab", To: "a", Entity: "user", After: []string{"user.new"}})
	})
	for _, c := range []struct {
		kind     string
		waits    bool
		fulfils  string
		isEntity string
	}{
		{"order.shipped", true, "", "order"},
		{"order.put", true, "order.p*", "order"}, // another route's, to the same place
		{"order.created", false, "order.created", "order"},
		{"order.paid", false, "order.pa* order.p*", "order"},
		{"user.new", false, "user.new", "user"}, // not the route's entity, but others wait for it
		{"user.old", false, "", "user"},
	} {
		ev := event(c.kind, `{"id":1,"v":1}`)
		ev.ReceivedAt = now.Add(-time.Hour) // the wait counts from when it is planned
		d, _ := one(t, p, ev)
		due := now
		var after []string
		if c.waits {
			due, after = now.Add(time.Minute), []string{"order.created", "order.pa*"}
		}
		if !slices.Equal(d.After, after) || !d.Due.Equal(due) || d.Counts != (c.fulfils != "") || d.Rank != nil || c.waits && d.OnWait != seawall.WaitHold {
			t.Errorf("%s: %+v", c.kind, d)
		}
		if got := strings.Join(p.Fulfils("a", c.isEntity, c.kind), " "); got != c.fulfils {
			t.Errorf("%s fulfils %s", c.kind, got)
		}
	}
	if got := p.Fulfils("b", "order", "x"); !slices.Equal(got, []string{"*"}) || p.Fulfils("c", "order", "order.created") != nil {
		t.Errorf("elsewhere: %v", got)
	}
}

// What is held until its entity is known has no place in a line yet; once it is, it
// has the one that it would have had.
func TestG5_ARecordThatIsResolvedGetsItsPlace(t *testing.T) {
	r := config.Route{Entity: "order", Order: seawall.Sequence, Settle: time.Second}
	p := ordered(t, r, func(c *config.Config) {
		c.Entities[0].Claims[0].Record = code(t, ".record")
		c.Entities[0].Unresolved = config.Unresolved{Wait: time.Hour, Then: seawall.WaitDead}
	})
	ev := event("order.paid", `{"record":"r","v":4}`)
	d, _ := one(t, p, ev)
	if d.State != seawall.Held || d.Lined() {
		t.Errorf("%+v", d)
	}
	got := p.Event(1, ev, now.Add(time.Minute), Known{Entity: "order/9"}).Deliveries[0]
	if want := order.On("hub", mustRank(t, []string{"4"})); got.State != seawall.Pending || !got.Lined() || !bytes.Equal(got.Rank, want) {
		t.Errorf("%+v", got)
	}
	// A route that orders another entity does not wait for this one.
	p = ordered(t, config.Route{Entity: "user", Order: seawall.Sequence}, func(c *config.Config) {
		c.Entities[0].Claims[0].Record = code(t, ".record")
		c.Entities[0].Unresolved = config.Unresolved{Wait: time.Hour, Then: seawall.WaitDead}
	})
	if d, _ := one(t, p, event("order.paid", `{"record":"r","v":4}`)); d.State != seawall.Pending {
		t.Errorf("held: %+v", d)
	}
}

// Whatever the versions of two events are, what plan ranks compares as they do: of
// one part or several, by each comparison, however a number or a time is written.
func TestG5_WhatPlanRanksComparesAsVersionsDo(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))

	// kinds make a part: as JSON, and how it compares with another of its kind.
	type part struct {
		json  string
		value any
	}
	kinds := map[order.Comparison]func() part{
		order.Integer: func() part {
			n := new(big.Int).Mul(big.NewInt(r.Int64N(9)-4), new(big.Int).Exp(big.NewInt(10), big.NewInt(r.Int64N(25)), nil))
			n.Add(n, big.NewInt(r.Int64N(5)))
			return part{[]string{n.String(), n.String() + ".0", strconv.Quote(n.String())}[r.IntN(3)], new(big.Rat).SetInt(n)}
		},
		order.Number: func() part {
			n := big.NewRat(r.Int64N(2000)-1000, []int64{1, 2, 5, 10, 1000}[r.IntN(5)])
			return part{n.FloatString(4), n}
		},
		order.Unix: func() part {
			at := time.UnixMilli(r.Int64N(5)*1000 + 1795400000000)
			if r.IntN(2) == 0 {
				return part{strconv.FormatInt(at.Unix(), 10), new(big.Rat).SetInt64(at.Unix())}
			}
			return part{strconv.FormatInt(at.UnixMilli(), 10), new(big.Rat).SetInt64(at.Unix())}
		},
		order.Time: func() part {
			at := time.Unix(1795400000, r.Int64N(9)*250e6).In(time.FixedZone("", r.IntN(5)*1800))
			return part{strconv.Quote(at.Format(time.RFC3339Nano)), big.NewRat(at.UnixMilli(), 1)}
		},
		order.Text: func() part {
			s := strings.Repeat("a", r.IntN(3)) + []string{"", "b", "10", "9", "ä"}[r.IntN(5)]
			if s == "" {
				s = "-"
			}
			return part{strconv.Quote(s), s}
		},
	}
	compare := func(a, b any) int {
		if s, ok := a.(string); ok {
			return cmp.Compare(s, b.(string))
		}
		return a.(*big.Rat).Cmp(b.(*big.Rat))
	}
	hows := []order.Comparison{order.Integer, order.Number, order.Unix, order.Time, order.Text}
	for range 300 {
		n := 1 + r.IntN(3)
		how := make([]order.Comparison, n)
		paths := make([]string, n)
		for i := range how {
			how[i], paths[i] = hows[r.IntN(len(hows))], fmt.Sprintf(".v[%d]", i)
		}
		p := ordered(t, config.Route{Entity: "order", Order: seawall.Sequence}, func(c *config.Config) {
			c.Entities[0].Claims[0].Version, c.Entities[0].Claims[0].Compare = codes(t, strings.Join(paths, ",")), how
		})
		for range 20 {
			want := 0
			var bodies [2][]string
			for _, h := range how {
				a, b := kinds[h](), kinds[h]()
				bodies[0], bodies[1] = append(bodies[0], a.json), append(bodies[1], b.json)
				if want == 0 {
					want = compare(a.value, b.value)
				}
			}
			var ranks [2][]byte
			for i := range ranks {
				d, decisions := one(t, p, event("order.paid", `{"id":1,"v":[`+strings.Join(bodies[i], ",")+`]}`))
				if len(decisions) != 1 {
					t.Fatalf("%v by %v: %v", bodies[i], how, decisions)
				}
				ranks[i] = d.Rank
			}
			if got := bytes.Compare(ranks[0], ranks[1]); got != want {
				t.Fatalf("%v and %v by %v compare as %d, want %d", bodies[0], bodies[1], how, got, want)
			}
		}
	}
}
