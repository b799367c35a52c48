package api_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (b *bench) count(state string) int {
	b.Helper()
	n := 0
	for _, err := range b.client("").AllDeliveries(b.Context(), api.DeliveryQuery{State: state}) {
		b.must(err)
		n++
	}
	return n
}

func TestDeliveries(t *testing.T) {
	b := newBench(t)
	ids := b.dead(2)
	b.accept("evt_x", "{}", "mail")
	for query, want := range map[string]int{"": 3, "state=dead": 2, "state=pending": 1, "destination=mail": 1, "route=stripe-orders": 2, "type=charge.*": 0, "entity=in_1": 3, "since=1h": 3, "until=1h": 0} {
		if got := get[api.Page[api.Delivery]](b, "/api/v1/deliveries?"+query); len(got.Data) != want {
			t.Errorf("%s: %d, want %d", query, len(got.Data), want)
		}
	}
	d, err := b.client("").Delivery(t.Context(), ids[0].String())
	b.must(err)
	if d.State != "dead" || d.Event != ids[0].Event().String() || len(d.Tries) != 1 || d.Tries[0].TookMS != 12 {
		t.Errorf("%+v", d)
	}
	if as := get[api.Page[api.Attempt]](b, "/api/v1/deliveries/"+ids[0].String()+"/attempts"); len(as.Data) != 1 || as.Data[0].Outcome != "refused" {
		t.Errorf("%+v", as)
	}
	b.refused(404, "GET", "/api/v1/deliveries/"+ids[0].Event().Delivery(9).String(), "")
	b.refused(422, "GET", "/api/v1/deliveries/"+ids[0].Event().String(), "")
	b.refused(422, "GET", "/api/v1/deliveries?state=lost", "")
}

func TestReplay_OneIsIdempotent(t *testing.T) {
	b := newBench(t)
	id := b.dead(1)[0]
	b.advance(time.Hour)
	c := b.client("")
	for range 3 {
		d, err := c.Replay(t.Context(), id.String(), api.ReplayOne{Config: "original"})
		b.must(err)
		if d.ID != id.String() || d.State != "pending" || d.Round != 0 || !d.Pinned || !d.Due.Equal(b.clock()) {
			t.Errorf("%+v", d)
		}
	}
	if b.gateway.woken["orders"] != 1 {
		t.Errorf("woken %v", b.gateway.woken)
	}
	acts := get[api.Page[api.Action]](b, "/api/v1/actions?on="+id.String())
	if len(acts.Data) != 1 || acts.Data[0].What != "replay" || acts.Data[0].Detail["config"] != "original" {
		t.Errorf("actions %+v", acts.Data)
	}
}

// What is held because nobody knows what became of it can be sent again, one by
// one or several by their ids; what is held for another reason cannot.
func TestG6_ReplayOfWhatIsHeldAsUnknown(t *testing.T) {
	b := newBench(t)
	var ids []seawall.DeliveryID
	for _, name := range []string{"one", "other", "waits"} {
		ids = append(ids, b.accept(name, "{}", "orders").ID.Delivery(1))
	}
	leases, err := b.store.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, time.Minute)
	b.must(err)
	_, err = b.store.Settle(t.Context(), []store.Settlement{
		{Lease: leases[0], Delivery: ids[0], State: seawall.Held, Reason: seawall.ReasonUnknown, At: b.clock()},
		{Lease: leases[0], Delivery: ids[1], State: seawall.Held, Reason: seawall.ReasonUnknown, At: b.clock()},
		{Lease: leases[0], Delivery: ids[2], State: seawall.Held, Reason: seawall.ReasonEarlier, At: b.clock()},
	})
	b.must(err)
	for i, want := range []string{"pending", "held", "held"} {
		if i == 1 {
			continue
		}
		d, err := b.client("").Replay(t.Context(), ids[i].String(), api.ReplayOne{})
		b.must(err)
		if d.State != want {
			t.Errorf("%s is %s, want %s", ids[i], d.State, want)
		}
	}
	r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{IDs: []string{ids[1].String(), ids[2].String()}})
	if r.Matched != 1 || r.Replayed != 1 {
		t.Errorf("%+v, want the one that is unknown", r)
	}
}

func TestReplay_NewID(t *testing.T) {
	b := newBench(t)
	id := b.dead(1)[0]
	b.advance(time.Second)
	c := b.client("")
	d, err := c.Replay(t.Context(), id.String(), api.ReplayOne{NewID: true})
	b.must(err)
	if d.ID == id.String() || d.Event != id.Event().String() || d.State != "pending" {
		t.Errorf("%+v", d)
	}
	again, err := c.Replay(t.Context(), id.String(), api.ReplayOne{NewID: true})
	b.must(err)
	if again.ID != d.ID {
		t.Errorf("repeated: %+v", again)
	}
	next, err := seawall.ParseDeliveryID(d.ID)
	b.must(err)
	b.settle(seawall.Dead, 500, next)
	order := api.ReplayRequest{Filter: &api.Filter{State: "dead"}, ReplayOne: api.ReplayOne{NewID: true}}
	for _, want := range []int{1, 0} { // of the newest only, and once
		r, err := c.Replays(t.Context(), order, nil)
		b.must(err)
		if r.Matched != want || r.Replayed != want {
			t.Errorf("%+v, want %d", r, want)
		}
	}
	ds, err := b.store.DeliveriesOf(t.Context(), id.Event())
	b.must(err)
	if len(ds) != 3 {
		t.Errorf("%d deliveries, want 3", len(ds))
	}
}

func TestReplay_Many(t *testing.T) {
	b := newBench(t)
	b.dead(1203) // more than two chunks
	delivered := b.accept("evt_ok", "{}", "orders").ID.Delivery(1)
	b.settle(seawall.Delivered, 200, delivered)
	b.accept("evt_new", "{}", "orders")
	b.advance(time.Minute)
	c := b.client("")
	order := api.ReplayRequest{Filter: &api.Filter{Destination: "orders"}, DryRun: true}

	r, err := c.Replays(t.Context(), order, nil)
	b.must(err)
	if !reflect.DeepEqual(*r, api.ReplayResult{DryRun: true, Matched: 1203}) {
		t.Errorf("dry run: %+v", r)
	}
	if n := b.count("dead"); n != 1203 {
		t.Fatalf("the dry run left %d dead", n)
	}
	order.DryRun = false
	r, err = c.Replays(t.Context(), order, nil)
	b.must(err)
	if !reflect.DeepEqual(*r, api.ReplayResult{Matched: 1203, Replayed: 1203}) {
		t.Errorf("replay: %+v", r)
	}
	r, err = c.Replays(t.Context(), order, nil)
	b.must(err)
	if !reflect.DeepEqual(*r, api.ReplayResult{}) {
		t.Errorf("repeated: %+v", r)
	}
	if n := b.count("pending"); n != 1204 {
		t.Errorf("%d pending", n)
	}
	acts := get[api.Page[api.Action]](b, "/api/v1/actions")
	var counts []string
	for _, a := range acts.Data {
		counts = append(counts, a.What+" "+a.Detail["count"]+" "+a.Detail["destination"])
	}
	if want := "[replay 203 orders replay 500 orders replay 500 orders]"; fmt.Sprint(counts) != want {
		t.Errorf("actions %v, want %v", counts, want)
	}
}

// Any field of a filter is enough, and dead letters are meant unless it says
// otherwise.
func TestReplay_ByAnyField(t *testing.T) {
	for name, f := range map[string]api.Filter{
		"source": {Source: "stripe"}, "type": {Type: "invoice.*"}, "route": {Route: "stripe-orders"},
		"entity": {Entity: "in_1"}, "since": {Since: "1h"}, "until": {Until: "0s"},
	} {
		b := newBench(t)
		b.dead(2)
		b.settle(seawall.Delivered, 200, b.accept("evt_ok", "{}", "orders").ID.Delivery(1))
		b.advance(time.Minute)
		if r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{Filter: &f}); r.Matched != 2 || r.Replayed != 2 {
			t.Errorf("replay by %s: %+v", name, r)
		}
		if r := post[api.CancelResult](b, "/api/v1/deliveries/cancel", api.CancelRequest{Filter: &f}); r.Canceled != 2 {
			t.Errorf("cancel by %s: %+v", name, r)
		}
	}
}

// Nothing is put back for a destination that is gone: nobody would deliver it.
func TestReplay_LeavesOutWhatNobodyWouldDeliver(t *testing.T) {
	b := newBench(t)
	ids := b.dead(3)
	running := b.gateway.config.Destinations
	b.gateway.config.Destinations = running[1:]
	c := b.client("")
	one := "/api/v1/deliveries/" + ids[0].String() + "/replay"
	for _, body := range []string{"", `{"config":"original"}`, `{"new_id":true}`} {
		p := b.refused(409, "POST", one, body)
		if !strings.Contains(p.Detail, `"orders" is not in the running configuration`) || !strings.Contains(p.Hint, "renamed_from: orders") {
			t.Errorf("%s: %+v", body, p)
		}
	}
	b.refused(409, "POST", "/api/v1/replays", `{"filter":{"destination":"orders"}}`)
	for _, dry := range []bool{true, false} {
		for name, order := range map[string]api.ReplayRequest{
			"ids": {IDs: []string{ids[0].String(), ids[1].String()}}, "filter": {Filter: &api.Filter{State: "dead"}},
		} {
			order.DryRun = dry
			r, err := c.Replays(t.Context(), order, nil)
			b.must(err)
			want := map[string]int{"ids": 2, "filter": 3}[name]
			if r.Matched != 0 || r.Replayed != 0 || r.LeftOut["orders"] != want {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
	if n := b.count("dead"); n != 3 {
		t.Fatalf("%d dead left", n)
	}
	b.gateway.config.Destinations = []*config.Destination{{Name: "shop", RenamedFrom: "orders"}}
	if d := get[api.Destination](b, "/api/v1/destinations/orders"); d.RenamedTo != "shop" || d.Configured || d.Dead != 3 {
		t.Errorf("%+v", d)
	}
	if r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{All: true}); r.Replayed != 3 || r.LeftOut != nil {
		t.Errorf("renamed: %+v", r)
	}
}

func TestReplay_Rate(t *testing.T) {
	b := newBench(t)
	ids := b.dead(4)
	b.advance(time.Minute)
	var in []string
	for _, id := range ids {
		in = append(in, id.String(), id.String()) // named twice, sent once
	}
	r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{IDs: in, Rate: "2/s"})
	if r.Matched != 4 || r.Replayed != 4 {
		t.Errorf("%+v", r)
	}
	for i, id := range ids {
		d, err := b.store.Delivery(t.Context(), id)
		b.must(err)
		if want := b.clock().Add(time.Duration(i) * 500 * time.Millisecond); !d.Due.Equal(want) {
			t.Errorf("%d is due %v, want %v", i, d.Due, want)
		}
	}
}

// A long order is carried out piece by piece, its rate goes on, and it keeps to
// what there was when it was given.
func TestReplay_IsBoundedInTime(t *testing.T) {
	var b *bench
	late := 0
	b = newBench(t, func(o *api.Options) {
		o.Store = slow{o.Store, func() {
			b.advance(15 * time.Second)
			if late == 0 {
				late = len(b.dead(1))
			}
		}}
	})
	ids := b.dead(1100)
	start := b.clock()
	pieces := 0
	r, err := b.client("").Replays(t.Context(), api.ReplayRequest{Filter: &api.Filter{State: "dead"}, Rate: "1/s"},
		func(api.ReplayResult) { pieces++ })
	b.must(err)
	if r.Replayed != 1100 || r.Matched != 1100 || pieces != 2 {
		t.Errorf("%+v in %d pieces", r, pieces)
	}
	d, err := b.store.Delivery(t.Context(), ids[1099])
	b.must(err)
	if want := start.Add(1099 * time.Second); !d.Due.Equal(want) {
		t.Errorf("the last is due %v, want %v", d.Due, want)
	}
	if n := b.count("dead"); n != late {
		t.Errorf("%d dead, want the %d that came later", n, late)
	}
}

// A delivery whose retention ends while an order is carried out does not stop it.
func TestReplay_GoesOnWithoutWhatIsPast(t *testing.T) {
	var past seawall.DeliveryID
	b := newBench(t, func(o *api.Options) { o.Store = forgetful{o.Store, &past} })
	past = b.dead(3)[1]
	b.advance(time.Minute)
	r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{All: true})
	if r.Matched != 2 || r.Replayed != 2 || r.LeftOut != nil {
		t.Errorf("%+v", r)
	}
}

// forgetful no longer has a delivery that it has just listed.
type forgetful struct {
	store.Store
	past *seawall.DeliveryID
}

func (s forgetful) Delivery(ctx ctxt, id seawall.DeliveryID) (*seawall.Delivery, error) {
	if id == *s.past {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no delivery %s", id)
	}
	return s.Store.Delivery(ctx, id)
}

// slow takes its time for every page of an order.
type slow struct {
	store.Store
	wait func()
}

func (s slow) Matching(ctx ctxt, f store.DeliveryFilter, p store.Page) ([]seawall.DeliveryID, string, error) {
	ids, next, err := s.Store.Matching(ctx, f, p)
	s.wait()
	return ids, next, err
}

func (s slow) ListDeliveries(ctx ctxt, f store.DeliveryFilter, p store.Page) (store.List[seawall.Delivery], error) {
	l, err := s.Store.ListDeliveries(ctx, f, p)
	s.wait()
	return l, err
}

func TestReplay_Refuses(t *testing.T) {
	b := newBench(t)
	id := b.dead(1)[0]
	gone := seawall.NewEventID(epoch, b.random).Delivery(1)
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"nothing":        {`{}`, 422},
		"empty filter":   {`{"filter":{}}`, 422},
		"blank filter":   {`{"filter":{"source":"","since":""}}`, 422},
		"both":           {`{"ids":["` + id.String() + `"],"filter":{"state":"dead"}}`, 422},
		"ids and all":    {`{"ids":["` + id.String() + `"],"all":true}`, 422},
		"pending":        {`{"filter":{"state":"pending"}}`, 422},
		"no such state":  {`{"filter":{"state":"lost"}}`, 422},
		"no rate":        {`{"all":true,"rate":"fast"}`, 422},
		"rate 0":         {`{"all":true,"rate":"0/s"}`, 422},
		"bad id":         {`{"ids":["evt_1"]}`, 422},
		"unknown id":     {`{"ids":["` + id.String() + `","` + gone.String() + `"]}`, 404},
		"misspelt":       {`{"filter":{"state":"dead"},"dry-run":true}`, 422},
		"bad cursor":     {`{"all":true,"cursor":"!"}`, 422},
		"bad since":      {`{"all":true,"filter":{"since":"x"}}`, 422},
		"unknown config": {`{"all":true,"config":"old"}`, 422},
		"not JSON":       {`all`, 400},
	} {
		if p := b.refused(c.want, "POST", "/api/v1/replays", c.body); p.Detail == "" {
			t.Errorf("%s: no detail", name)
		}
	}
	if n := b.count("dead"); n != 1 {
		t.Errorf("%d dead left", n)
	}
	if r := post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{All: true}); r.Replayed != 1 {
		t.Errorf("all: %+v", r)
	}
}
