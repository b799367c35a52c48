package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// SystemStanding is how a system stands, as this node knows it.
type SystemStanding struct {
	store.SystemState         // of all nodes
	Off               bool    // it has no breaker
	Waiting           int     // for leave to send
	Flight            int     // requests under leave of a limit
	Pace              float64 // requests a second that this node allows itself; 0: what is configured
}

// System is an outside system, with how it stands.
type System struct {
	Name        string    `json:"name"`
	Host        string    `json:"host,omitempty"`
	Declared    bool      `json:"declared" doc:"It can be called; false for one that a destination's url implies."`
	Auth        string    `json:"auth,omitempty" doc:"Kind of its credentials."`
	Rate        float64   `json:"rate,omitempty" doc:"Requests a second that it takes; missing: not limited."`
	Burst       int       `json:"burst,omitempty"`
	Concurrency int       `json:"concurrency,omitempty" doc:"Requests at a time that it takes; missing: not limited."`
	Idempotency string    `json:"idempotency,omitempty" doc:"Header that it takes an idempotency key in."`
	Breaker     string    `json:"breaker" doc:"closed, open, half_open or off."`
	Since       time.Time `json:"since,omitzero" doc:"Of the breaker's state."`
	Until       time.Time `json:"until,omitzero" doc:"Open: nothing is sent before."`
	Why         string    `json:"why,omitempty" doc:"The breaker opened."`
	Hold        time.Time `json:"hold,omitzero" doc:"The system asked for nothing before."`
	Pace        float64   `json:"pace,omitempty" doc:"Requests a second that this node allows itself after the system asked it to slow down."`
	Waiting     int       `json:"waiting" doc:"What waits for leave to send on this node."`
	Flight      int       `json:"flight" doc:"Requests under way on this node, where something limits them."`
	Pending     int64     `json:"pending" doc:"Calls that wait, in flight included."`
	Held        int64     `json:"held" doc:"Calls of unknown outcome."`
	Dead        int64     `json:"dead" doc:"Calls given up."`
	OldestDue   time.Time `json:"oldest_due,omitzero"`
}

func (s *server) registerSystems(doc huma.API) {
	const tag = "systems"
	handle(s, doc, op("list-systems", http.MethodGet, "/systems", tag, "List systems",
		"Each with its limits, its breaker and the calls that wait for it."), s.listSystems)
	handle(s, doc, op("reset-system", http.MethodPost, "/systems/{name}/reset", tag, "Let a system be asked again",
		"Closes its breaker, and forgets for how long it asked to be left alone."), s.resetSystem)
}

func (s *server) listSystems(ctx context.Context, _ *struct{}) (*answer[Page[System]], error) {
	depths, err := s.Store.Depths(ctx)
	if err != nil {
		return nil, fmt.Errorf("depths: %w", err)
	}
	calls := map[string]store.Depth{}
	for _, d := range depths {
		calls[d.Destination] = d
	}
	standing := map[string]SystemStanding{}
	for _, st := range s.Gateway.Systems() {
		standing[st.System] = st
	}
	c, _ := s.Gateway.Config()
	out := make([]System, 0, len(c.Systems))
	for _, y := range c.Systems {
		out = append(out, formSystem(y, standing[y.Name], calls[seawall.CallsTo(y.Name)]))
	}
	return whole(out), nil
}

func formSystem(y *config.System, st SystemStanding, d store.Depth) System {
	out := System{
		Name: y.Name, Declared: y.URL != nil, Auth: authKind(y.Auth), Burst: y.Limit.Burst, Concurrency: y.Limit.Concurrency,
		Idempotency: y.Idempotency.Header, Breaker: st.Breaker.String(), Since: st.Since, Hold: st.Hold, Pace: st.Pace,
		Waiting: st.Waiting, Flight: st.Flight, Pending: d.Pending, Held: d.Held, Dead: d.Dead, OldestDue: d.OldestDue,
	}
	if y.URL != nil {
		out.Host = y.URL.Host
	}
	if y.Limit.Every > 0 {
		out.Rate = float64(time.Second) / float64(y.Limit.Every)
	}
	switch {
	case st.Off:
		out.Breaker = "off"
	case st.Breaker != seawall.BreakerClosed:
		out.Until, out.Why = st.Until, st.Why
	}
	return out
}

func authKind(a config.Auth) string {
	switch a.(type) {
	case config.Bearer:
		return "bearer"
	case config.Basic:
		return "basic"
	case config.HeaderKey:
		return "header"
	case config.QueryKey:
		return "query"
	case config.OAuth2:
		return "oauth2"
	case config.HMAC:
		return "hmac"
	}
	return ""
}

func (s *server) resetSystem(ctx context.Context, in *NamePath) (*answer[System], error) {
	if err := s.Gateway.ResetSystem(ctx, in.Name); err != nil {
		return nil, err
	}
	if err := s.Store.Record(ctx, s.action(ctx, "system.reset", in.Name, nil)); err != nil {
		return nil, fmt.Errorf("the system is asked again, but who said so is not recorded: %w", err)
	}
	list, err := s.listSystems(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, y := range list.Body.Data {
		if y.Name == in.Name {
			return &answer[System]{y}, nil
		}
	}
	return nil, seawall.Errorf(seawall.ErrNotFound, "no system is named %q", in.Name)
}
