package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// NamePath is an operation on something that the configuration names.
type NamePath struct {
	Name string `path:"name" maxLength:"200"`
}

func (s *server) registerDestinations(doc huma.API) {
	const tag = "destinations"
	handle(s, doc, op("list-destinations", http.MethodGet, "/destinations", tag, "List destinations",
		"Those of the configuration, and those that left it but still have deliveries, each with its queue."), s.listDestinations)
	handle(s, doc, op("get-destination", http.MethodGet, "/destinations/{name}", tag, "A destination with its queue", ""), s.getDestination)
	handle(s, doc, op("pause-destination", http.MethodPost, "/destinations/{name}/pause", tag, "Pause a destination",
		"Its deliveries wait, and lose nothing by it."), s.gate("pause", seawall.Paused))
	handle(s, doc, op("resume-destination", http.MethodPost, "/destinations/{name}/resume", tag, "Resume a destination",
		"Whether it was paused by a person, or disabled because it answered 410 Gone."), s.gate("resume", seawall.Open))
}

func (s *server) listDestinations(ctx context.Context, _ *struct{}) (*answer[Page[Destination]], error) {
	list, err := s.destinations(ctx)
	if err != nil {
		return nil, err
	}
	return whole(list), nil
}

func (s *server) getDestination(ctx context.Context, in *NamePath) (*answer[Destination], error) {
	list, err := s.destinations(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(d Destination) bool { return d.Name == in.Name })
	if i < 0 {
		return nil, seawall.Errorf(seawall.ErrNotFound, "there is no destination %q", in.Name)
	}
	return &answer[Destination]{list[i]}, nil
}

// gate opens or closes a destination's queue.
func (s *server) gate(what string, to seawall.Gate) func(context.Context, *struct {
	NamePath
	Body *Reason
}) (*answer[Destination], error) {
	return func(ctx context.Context, in *struct {
		NamePath
		Body *Reason
	}) (*answer[Destination], error) {
		if _, err := s.getDestination(ctx, &in.NamePath); err != nil {
			return nil, err
		}
		reason := ""
		if in.Body != nil {
			reason = in.Body.Reason
		}
		g := store.GateState{Destination: in.Name, Gate: to, Reason: reason, By: by(ctx), At: s.Now()}
		if err := s.Store.SetGate(ctx, g, s.action(ctx, what, in.Name, detail("reason", reason))); err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, in.Name, err)
		}
		s.Gateway.Wake(in.Name)
		return s.getDestination(ctx, &in.NamePath)
	}
}

// destinations are those of the configuration, in its order, and then those
// that only the store still knows, by name.
func (s *server) destinations(ctx context.Context) ([]Destination, error) {
	depths, err := s.Store.Depths(ctx)
	if err != nil {
		return nil, fmt.Errorf("depths: %w", err)
	}
	gates, err := s.Store.Gates(ctx)
	if err != nil {
		return nil, fmt.Errorf("gates: %w", err)
	}
	c, _ := s.Gateway.Config()
	out := each(c.Destinations, configured)
	for _, y := range c.Systems {
		if y.URL != nil {
			out = append(out, Destination{Name: seawall.CallsTo(y.Name), Host: y.URL.Host, Configured: true,
				Gate: seawall.Open.String(), Concurrency: y.Limit.Concurrency})
		}
	}
	at := map[string]int{}
	for i, d := range out {
		at[d.Name] = i
	}
	slices.SortFunc(depths, func(a, b store.Depth) int { return strings.Compare(a.Destination, b.Destination) })
	for _, d := range depths {
		i, ok := at[d.Destination]
		if !ok {
			if d.Pending == 0 && d.Held == 0 && d.Dead == 0 {
				continue
			}
			i = len(out)
			at[d.Destination] = i
			left := Destination{Name: d.Destination, Gate: seawall.Open.String()}
			if to := destinationOf(c, d.Destination); to != nil {
				left.RenamedTo = to.Name
			}
			out = append(out, left)
		}
		out[i].Pending, out[i].Held, out[i].Dead, out[i].OldestDue = d.Pending, d.Held, d.Dead, d.OldestDue
	}
	for _, g := range gates {
		if i, ok := at[g.Destination]; ok && g.Gate != seawall.Open {
			out[i].Gate, out[i].GateReason, out[i].GateBy, out[i].GateAt = g.Gate.String(), g.Reason, g.By, g.At
		}
	}
	return out, nil
}

func configured(d *config.Destination) Destination {
	return Destination{
		Name: d.Name, Host: host(d.URL), Configured: true, Gate: seawall.Open.String(),
		Concurrency: d.Concurrency, Shards: d.Shards, Repeatable: !d.Unsafe, Signed: len(d.Sign) > 0,
	}
}

// host is the host of a URL, without anything that may be secret; "" if it
// depends on the event.
func host(t *expr.Template) string {
	if t == nil {
		return ""
	}
	u, err := url.Parse(t.Prefix())
	if err != nil || !t.Constant() && u.Path == "" && u.RawQuery == "" {
		return ""
	}
	return u.Host
}
