package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// unfinished are the states that an order to cancel goes through: as deliveries do,
// since each pending one of a line that ends makes a held one pending.
var unfinished = []seawall.State{seawall.Held, seawall.Pending, seawall.Sending}

func (s *server) cancelMany(ctx context.Context, in *struct{ Body CancelRequest }) (*answer[CancelResult], error) {
	r := in.Body
	ids, f, at, err := s.choose(r.IDs, r.Filter, r.All, r.Cursor)
	if err != nil {
		return nil, err
	}
	run := canceling{s: s, r: &r, out: CancelResult{DryRun: r.DryRun}}
	if ids != nil {
		ds, err := s.those(ctx, ids, func(d *seawall.Delivery) bool { return !d.State.Final() })
		if err != nil {
			return nil, err
		}
		for chunk := range slices.Chunk(ds, manyChunk) {
			if err := run.chunk(ctx, chunk); err != nil {
				return nil, err
			}
		}
		return &answer[CancelResult]{run.out}, nil
	}
	states := unfinished
	if f.State != nil {
		if f.State.Final() {
			return nil, seawall.Errorf(seawall.ErrInvalid, "a delivery that is %s cannot be canceled: it has ended", f.State).
				WithHint("one of: pending, held, sending")
		}
		states = []seawall.State{*f.State}
	}
	start := s.Now()
	for at.Stage < len(states) {
		f.State = &states[at.Stage]
		l, err := s.Store.ListDeliveries(ctx, f, store.Page{Cursor: at.Cursor, Limit: manyChunk})
		if err != nil {
			return nil, fmt.Errorf("cancel: %w", err)
		}
		if err := run.chunk(ctx, l.Items); err != nil {
			return nil, err
		}
		if at.Cursor = l.Next; at.Cursor == "" {
			at.Stage++
		}
		if at.Stage < len(states) && s.Now().Sub(start) >= manyTime {
			run.out.Next = at.String()
			break
		}
	}
	return &answer[CancelResult]{run.out}, nil
}

// canceling is an order to cancel many, being carried out.
type canceling struct {
	s   *server
	r   *CancelRequest
	out CancelResult
}

func (p *canceling) chunk(ctx context.Context, ds []seawall.Delivery) error {
	p.out.Matched += len(ds)
	if p.r.DryRun || len(ds) == 0 {
		return nil
	}
	a := p.s.action(ctx, "cancel", "", manyDetail(p.r.Filter, len(ds), detail("reason", p.r.Reason)))
	ended, err := p.s.Store.Cancel(ctx, each(ds, idOf), canceledBy(ctx, p.r.Reason), a)
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	p.out.Canceled += len(ended)
	p.s.wakeLines(slices.DeleteFunc(slices.Clone(ds), func(d seawall.Delivery) bool { return !d.Lined() }))
	return nil
}
