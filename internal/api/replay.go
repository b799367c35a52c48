package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (r ReplayOne) options(at time.Time) store.ReplayOptions {
	return store.ReplayOptions{At: at, Pin: r.Config == configOriginal, NewID: r.NewID, Force: r.Force}
}

// detail is what the record of a replay says of how.
func (r ReplayOne) detail() map[string]string {
	return detail("config", r.Config, "new_id", yes(r.NewID), "force", yes(r.Force))
}

func (s *server) replayMany(ctx context.Context, in *struct{ Body ReplayRequest }) (*answer[ReplayResult], error) {
	r := in.Body
	every, err := interval(r.Rate)
	if err != nil {
		return nil, err
	}
	ids, f, at, err := s.choose(r.IDs, r.Filter, r.All, r.Cursor)
	if err != nil {
		return nil, err
	}
	if f.State == nil {
		dead := seawall.Dead
		f.State = &dead
	}
	if !f.State.Final() {
		return nil, seawall.Errorf(seawall.ErrInvalid, "a delivery that is %s cannot be replayed: it has not ended", f.State).
			WithHint("one of: delivered, dead, superseded, canceled")
	}
	if f.Destination != "" {
		if err := s.reachable(f.Destination); err != nil {
			return nil, err
		}
	}
	if at.Due.Before(s.Now()) {
		at.Due = s.Now()
	}
	run := replaying{s: s, r: &r, every: every, due: at.Due, out: ReplayResult{DryRun: r.DryRun}}
	if ids != nil {
		ds, err := s.those(ctx, ids, (*seawall.Delivery).Replayable)
		if err != nil {
			return nil, err
		}
		for chunk := range slices.Chunk(each(ds, idOf), manyChunk) {
			if err := run.chunk(ctx, chunk); err != nil {
				return nil, err
			}
		}
		return &answer[ReplayResult]{run.out}, nil
	}
	start := s.Now()
	for {
		ids, next, err := s.Store.Matching(ctx, f, store.Page{Cursor: at.Cursor, Limit: manyChunk})
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if err := run.chunk(ctx, ids); err != nil {
			return nil, err
		}
		if next == "" {
			break
		}
		at.Cursor, at.Due = next, run.due
		if s.Now().Sub(start) >= manyTime {
			run.out.Next = at.String()
			break
		}
	}
	return &answer[ReplayResult]{run.out}, nil
}

// replaying is an order to replay many, being carried out.
type replaying struct {
	s     *server
	r     *ReplayRequest
	every time.Duration
	due   time.Time // of the next one
	out   ReplayResult
}

func (p *replaying) chunk(ctx context.Context, ids []seawall.DeliveryID) (err error) {
	if p.r.NewID {
		if ids, err = p.s.newest(ctx, ids); err != nil {
			return err
		}
	}
	ids, gone, err := p.s.reach(ctx, ids)
	if err != nil {
		return err
	}
	p.out.leaveOut(gone)
	p.out.Matched += len(ids)
	if p.r.DryRun || len(ids) == 0 {
		return nil
	}
	o := p.r.options(p.due)
	o.Every = p.every
	last := p.due.Add(time.Duration(len(ids)-1) * p.every)
	a := p.s.action(ctx, "replay", "", manyDetail(p.r.Filter, len(ids), p.r.detail(), detail("rate", p.r.Rate,
		detailFrom, p.due.Format(time.RFC3339Nano), detailTo, last.Format(time.RFC3339Nano))))
	ds, err := p.s.Store.Replay(ctx, ids, o, a)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	p.out.Replayed += len(ds)
	if p.out.Outdated, err = p.s.outdated(ctx, ids, ds, p.out.Outdated); err != nil {
		return err
	}
	p.due = p.due.Add(time.Duration(len(ds)) * p.every)
	p.s.wake(ds)
	return nil
}

// newest keeps those of the ids that are the newest delivery of their event
// over their route. The others were replayed under a new id already: doing so
// again would make yet another one each time that the order is repeated.
func (s *server) newest(ctx context.Context, ids []seawall.DeliveryID) ([]seawall.DeliveryID, error) {
	var out []seawall.DeliveryID
	for _, id := range ids {
		ds, err := s.Store.DeliveriesOf(ctx, id.Event())
		if err != nil {
			return nil, fmt.Errorf("deliveries of %s: %w", id.Event(), err)
		}
		if d := successor(ds, id); d == nil {
			out = append(out, id)
		}
	}
	return out, nil
}

// successor is the newest delivery over the same route as id's that is newer
// than it; nil if there is none.
func successor(ds []seawall.Delivery, id seawall.DeliveryID) *seawall.Delivery {
	i := slices.IndexFunc(ds, func(d seawall.Delivery) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	for j := len(ds) - 1; j > i; j-- {
		if ds[j].Route == ds[i].Route {
			return &ds[j]
		}
	}
	return nil
}
