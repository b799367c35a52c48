package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const configOriginal = "original"

// DeliveryPath is an operation on one delivery.
type DeliveryPath struct {
	ID string `path:"id" maxLength:"64" example:"dlv_01kbxw0000000000000000r001"`
}

// delivery returns the delivery that the path names.
func (s *server) delivery(ctx context.Context, p DeliveryPath) (*seawall.Delivery, error) {
	id, err := seawall.ParseDeliveryID(p.ID)
	if err != nil {
		return nil, err
	}
	d, err := s.Store.Delivery(ctx, id)
	if err != nil {
		return nil, about("delivery", id, err)
	}
	return d, nil
}

func (s *server) registerDeliveries(doc huma.API) {
	const tag = "deliveries"
	handle(s, doc, op("list-deliveries", http.MethodGet, "/deliveries", tag, "List deliveries", "Newest event first."), s.listDeliveries)
	handle(s, doc, op("get-delivery", http.MethodGet, "/deliveries/{id}", tag, "A delivery with its attempts", ""), s.getDelivery)
	handle(s, doc, op("list-attempts", http.MethodGet, "/deliveries/{id}/attempts", tag, "The attempts of a delivery",
		"First to last, with what was sent and what came back."), s.attempts)
	handle(s, doc, op("replay-delivery", http.MethodPost, "/deliveries/{id}/replay", tag, "Send a finished delivery again",
		"The same delivery under the same id, or one that is held for a person. One that is already waiting is left as it is. "+
			"A conflict if its destination is no longer in the configuration, or if a newer version of its entity made it "+
			"pointless and force is not set."), s.replayOne)
	handle(s, doc, op("cancel-delivery", http.MethodPost, "/deliveries/{id}/cancel", tag, "End an unfinished delivery", ""), s.cancelOne)
	handle(s, doc, op("skip-delivery", http.MethodPost, "/deliveries/{id}/skip", tag, "Skip an unfinished or a dead delivery",
		"Ends it as canceled with the reason \"skipped\", so that what waits behind it in order goes on."), s.skip)
}

func (s *server) listDeliveries(ctx context.Context, in *DeliveryQuery) (*answer[Page[Delivery]], error) {
	f, err := s.deliveryFilter(Filter{State: in.State, Source: in.Source, Type: in.Type, Destination: in.Destination,
		Route: in.Route, Entity: in.Entity, Since: in.Since, Until: in.Until})
	if err != nil {
		return nil, err
	}
	l, err := s.Store.ListDeliveries(ctx, f, in.page())
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return page(l, formDelivery), nil
}

func (s *server) deliveryFilter(q Filter) (f store.DeliveryFilter, err error) {
	f = store.DeliveryFilter{Source: q.Source, Type: q.Type, Destination: q.Destination, Route: q.Route, Entity: q.Entity}
	if q.State != "" {
		state, err := seawall.ParseState(q.State)
		if err != nil {
			return f, err
		}
		f.State = &state
	}
	if f.Since, err = back("since", q.Since, s.Now()); err != nil {
		return f, err
	}
	f.Until, err = back("until", q.Until, s.Now())
	return f, err
}

func (s *server) getDelivery(ctx context.Context, in *DeliveryPath) (*answer[Traced], error) {
	d, err := s.delivery(ctx, *in)
	if err != nil {
		return nil, err
	}
	t, err := s.traced(ctx, *d)
	return &answer[Traced]{t}, err
}

func (s *server) attempts(ctx context.Context, in *DeliveryPath) (*answer[Page[Attempt]], error) {
	d, err := s.delivery(ctx, *in)
	if err != nil {
		return nil, err
	}
	t, err := s.traced(ctx, *d)
	return whole(t.Tries), err
}

func (s *server) replayOne(ctx context.Context, in *struct {
	DeliveryPath
	Body *ReplayOne
}) (*answer[Delivery], error) {
	d, err := s.delivery(ctx, in.DeliveryPath)
	if err != nil {
		return nil, err
	}
	var how ReplayOne
	if in.Body != nil {
		how = *in.Body
	}
	if !d.Replayable() { // it is waiting already: nothing is done, and nothing recorded
		return &answer[Delivery]{formDelivery(*d)}, nil
	}
	if how.NewID {
		of, err := s.Store.DeliveriesOf(ctx, d.ID.Event())
		if err != nil {
			return nil, fmt.Errorf("deliveries of %s: %w", d.ID.Event(), err)
		}
		if next := successor(of, d.ID); next != nil {
			return &answer[Delivery]{formDelivery(*next)}, nil
		}
	}
	if err := s.reachable(d.Destination); err != nil {
		return nil, err
	}
	o := how.options(s.Now())
	ds, err := s.Store.Replay(ctx, []seawall.DeliveryID{d.ID}, o, s.action(ctx, "replay", d.ID.String(), how.detail()))
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", d.ID, err)
	}
	if len(ds) == 0 { // someone else was quicker, or it is pointless
		if err := s.pointless(ctx, d.ID); err != nil {
			return nil, err
		}
		return s.again(ctx, d.ID)
	}
	s.wake(ds)
	return &answer[Delivery]{formDelivery(ds[0])}, nil
}

func (s *server) cancelOne(ctx context.Context, in *struct {
	DeliveryPath
	Body *Reason
}) (*answer[Delivery], error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	d, err := s.delivery(ctx, in.DeliveryPath)
	if err != nil {
		return nil, err
	}
	return s.end(ctx, d, func(ids []seawall.DeliveryID) ([]seawall.DeliveryID, error) {
		return s.Store.Cancel(ctx, ids, canceledBy(ctx, reason), s.action(ctx, "cancel", d.ID.String(), detail("reason", reason)))
	})
}

// skip lets what waits behind a delivery go on without it.
func (s *server) skip(ctx context.Context, in *DeliveryPath) (*answer[Delivery], error) {
	d, err := s.delivery(ctx, *in)
	if err != nil {
		return nil, err
	}
	return s.end(ctx, d, func(ids []seawall.DeliveryID) ([]seawall.DeliveryID, error) {
		return s.Store.Skip(ctx, ids, s.action(ctx, "skip", d.ID.String(), nil))
	})
}

// canceledBy is the reason of a canceled delivery: by whom, and why if told.
func canceledBy(ctx context.Context, reason string) string {
	if reason == "" {
		return "by " + by(ctx)
	}
	return "by " + by(ctx) + ": " + reason
}

// end ends one delivery as canceled. One that is so already is left as it is; one
// that ended otherwise is a conflict.
func (s *server) end(ctx context.Context, d *seawall.Delivery, order func(ids []seawall.DeliveryID) ([]seawall.DeliveryID, error)) (*answer[Delivery], error) {
	ended, err := order([]seawall.DeliveryID{d.ID})
	if err != nil {
		return nil, fmt.Errorf("end %s: %w", d.ID, err)
	}
	now, err := s.again(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	if len(ended) == 0 && now.Body.State != seawall.Canceled.String() {
		err := seawall.Errorf(seawall.ErrConflict, "%s cannot be ended: it is %s", d.ID, now.Body.State)
		if d.State == seawall.Dead && d.Order == seawall.Sequence {
			err = err.WithHint("skip has what waits behind a dead one go on")
		}
		return nil, err
	}
	s.wakeLines([]seawall.Delivery{*d})
	return now, nil
}

// wakeLines wakes the queues in which somebody's turn may have come, now that these
// have ended: theirs, and those that they were in before a fallback's.
func (s *server) wakeLines(ended []seawall.Delivery) {
	c, _ := s.Gateway.Config()
	var names []string
	for i := range ended {
		d := &ended[i]
		names = append(names, d.Destination)
		if r := slices.IndexFunc(c.Routes, func(r *config.Route) bool { return r.Name == d.Route }); d.Diverted && r >= 0 {
			names = append(names, c.Routes[r].To)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		s.Gateway.Wake(name)
	}
}

func (s *server) again(ctx context.Context, id seawall.DeliveryID) (*answer[Delivery], error) {
	d, err := s.Store.Delivery(ctx, id)
	if err != nil {
		return nil, about("delivery", id, err)
	}
	return &answer[Delivery]{formDelivery(*d)}, nil
}

// detail makes an action's detail of keys and values, without empty values.
func detail(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out[pairs[i]] = pairs[i+1]
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// yes words a choice in an action's detail; one not made is not mentioned.
func yes(v bool) string {
	if v {
		return "yes"
	}
	return ""
}
