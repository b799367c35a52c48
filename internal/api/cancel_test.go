package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	ordering "github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestCancel(t *testing.T) {
	b := newBench(t)
	one, two := b.accept("evt_1", "{}", "orders").ID.Delivery(1), b.accept("evt_2", "{}", "orders").ID.Delivery(1)
	c := b.client("")
	for range 2 {
		d, err := c.Cancel(t.Context(), one.String(), "not wanted")
		b.must(err)
		if d.State != "canceled" || d.Reason != "by local: not wanted" {
			t.Errorf("%+v", d)
		}
	}
	d, err := c.Skip(t.Context(), two.String())
	b.must(err)
	if d.State != "canceled" || d.Reason != "skipped" {
		t.Errorf("%+v", d)
	}
	if b.gateway.woken["orders"] != 3 {
		t.Errorf("woken %v", b.gateway.woken)
	}
	if acts := get[api.Page[api.Action]](b, "/api/v1/actions?on="+two.String()); len(acts.Data) != 1 || acts.Data[0].What != "skip" {
		t.Errorf("%+v", acts)
	}
	dead := b.dead(1)[0]
	if p := b.refused(409, "POST", "/api/v1/deliveries/"+dead.String()+"/cancel", ""); !strings.Contains(p.Detail, "it is dead") {
		t.Errorf("%+v", p)
	}
}

func TestCancel_Many(t *testing.T) {
	var b *bench
	b = newBench(t, func(o *api.Options) { o.Store = slow{o.Store, func() { b.advance(15 * time.Second) }} })
	for i := range 1003 {
		b.accept(fmt.Sprint("evt_", i), "{}", "orders")
		b.advance(time.Millisecond)
	}
	held := b.accept("evt_held", "{}", "orders").ID.Delivery(1)
	b.settle(seawall.Held, 0, held)
	keep := b.accept("evt_keep", "{}", "mail")
	dead := b.dead(1)
	b.advance(time.Minute)
	c := b.client("")
	order := api.CancelRequest{Filter: &api.Filter{Destination: "orders"}, Reason: "gone", DryRun: true}
	r, err := c.Cancels(t.Context(), order, nil)
	b.must(err)
	if *r != (api.CancelResult{DryRun: true, Matched: 1004}) {
		t.Errorf("dry run: %+v", r)
	}
	order.DryRun = false
	pieces := 0
	r, err = c.Cancels(t.Context(), order, func(api.CancelResult) { pieces++ })
	b.must(err)
	if *r != (api.CancelResult{Matched: 1004, Canceled: 1004}) || pieces < 2 {
		t.Errorf("%+v in %d pieces", r, pieces)
	}
	r, err = c.Cancels(t.Context(), order, nil)
	b.must(err)
	if r.Canceled != 0 {
		t.Errorf("repeated: %+v", r)
	}
	if d := get[api.Delivery](b, "/api/v1/deliveries/"+keep.ID.Delivery(1).String()); d.State != "pending" {
		t.Errorf("mail: %+v", d)
	}
	r, err = c.Cancels(t.Context(), api.CancelRequest{IDs: []string{keep.ID.Delivery(1).String(), dead[0].String()}}, nil)
	b.must(err)
	if *r != (api.CancelResult{Matched: 1, Canceled: 1}) {
		t.Errorf("by id: %+v", r)
	}
	b.refused(422, "POST", "/api/v1/deliveries/cancel", `{"filter":{}}`)
	b.refused(422, "POST", "/api/v1/deliveries/cancel", `{"filter":{"state":"dead"}}`)
}

// inLine accepts so many events of invoice/1, of one version, in a sequence unless it
// is said otherwise.
func (b *bench) inLine(n int, otherwise func(i int, d *seawall.Delivery)) (ids []seawall.DeliveryID) {
	b.T.Helper()
	rank, err := ordering.Rank([]string{"7"})
	b.must(err)
	for i := range n {
		ev := &seawall.Event{
			ID: seawall.NewEventID(b.clock(), b.random), Source: "stripe", SourceID: fmt.Sprint("step_", i), Type: "invoice.paid",
			Entity: "invoice/1", Version: "7", ReceivedAt: b.clock(), Body: []byte("{}"), Revision: 1,
		}
		d := seawall.Delivery{
			ID: ev.ID.Delivery(1), Route: "stripe-orders", Destination: "orders", System: "orders", Source: ev.Source, Type: ev.Type,
			Entity: ev.Entity, Order: seawall.Sequence, Rank: ordering.On("stripe", rank), Due: b.clock(), Since: b.clock(), Created: b.clock(), Revision: 1,
		}
		otherwise(i, &d)
		_, err := b.store.Accept(b.T.Context(), []store.Acceptance{{Event: ev, Expires: b.clock().Add(time.Hour), Deliveries: []seawall.Delivery{d}}})
		b.must(err)
		ids = append(ids, d.ID)
	}
	return ids
}

// Who cancels all that waits leaves none, not those either whose turn comes by it.
func TestCancel_LeavesNoneOfALine(t *testing.T) {
	b := newBench(t)
	b.inLine(4, func(int, *seawall.Delivery) {})
	b.advance(time.Second)
	r := post[api.CancelResult](b, "/api/v1/deliveries/cancel", api.CancelRequest{Filter: &api.Filter{Entity: "invoice/1"}})
	if n := b.count("canceled"); r.Canceled != 4 || n != 4 {
		t.Errorf("%+v, %d are canceled", r, n)
	}
}

// A dead one holds its entity up: skipping it lets the others go on, and what each
// waits for is shown.
func TestSkip_EndsADeadOne(t *testing.T) {
	b := newBench(t)
	ids := b.inLine(3, func(i int, d *seawall.Delivery) {
		if i == 2 {
			d.Order, d.Rank, d.After, d.Due = seawall.Unordered, nil, []string{"invoice.created"}, b.clock().Add(time.Hour)
		}
	})
	show := func(i int) api.Traced { return get[api.Traced](b, "/api/v1/deliveries/"+ids[i].String()) }
	if d := show(1); d.State != "held" || d.Reason != seawall.ReasonEarlier || d.Order != "sequence" || !d.Tied || !d.Due.IsZero() || d.After != nil {
		t.Errorf("behind another: %+v", d)
	}
	if d := show(2); d.State != "held" || d.Reason != seawall.ReasonPrerequisite || d.Order != "" || !d.Due.Equal(b.clock().Add(time.Hour)) || !slices.Equal(d.After, []string{"invoice.created"}) {
		t.Errorf("after another: %+v", d)
	}
	b.settle(seawall.Dead, 500, ids[0])
	if p := b.refused(409, "POST", "/api/v1/deliveries/"+ids[0].String()+"/cancel", ""); !strings.Contains(p.Hint, "skip") {
		t.Errorf("%+v", p)
	}
	for range 2 {
		if d, err := b.client("").Skip(t.Context(), ids[0].String()); err != nil || d.State != "canceled" || d.Reason != seawall.ReasonSkipped {
			t.Errorf("%+v (%v)", d, err)
		}
	}
	if d := show(1); d.State != "pending" || d.Reason != "" {
		t.Errorf("it does not go on: %+v", d)
	}
	if b.gateway.woken["orders"] == 0 {
		t.Error("its queue was not woken")
	}
	// It comes too late now, and says so.
	b.settle(seawall.Delivered, 200, ids[1])
	if d, err := b.client("").Replay(t.Context(), ids[0].String(), api.ReplayOne{}); err != nil || d.State != "pending" || d.Order != "sequence" {
		t.Errorf("%+v (%v)", d, err)
	}
	b.refused(409, "POST", "/api/v1/deliveries/"+ids[1].String()+"/skip", "")
	if list := get[api.Page[api.Delivery]](b, "/api/v1/deliveries?entity=invoice/1"); len(list.Data) != 3 {
		t.Errorf("%d of the entity", len(list.Data))
	}
}
