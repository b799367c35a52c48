package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *server) registerConfig(doc huma.API) {
	const tag = "config"
	handle(s, doc, op("list-sources", http.MethodGet, "/sources", tag, "List sources", ""), s.listSources)
	handle(s, doc, op("list-routes", http.MethodGet, "/routes", tag, "List routes", "In the order of the file."), s.listRoutes)
	handle(s, doc, op("get-config", http.MethodGet, "/config", tag, "The running configuration", "As written."), s.getConfig)
	handle(s, doc, op("list-revisions", http.MethodGet, "/config/revisions", tag, "List accepted configurations",
		"Newest first, without their text."), s.listRevisions)
	handle(s, doc, op("get-revision", http.MethodGet, "/config/revisions/{number}", tag, "An accepted configuration", ""), s.getRevision)
	handle(s, doc, op("reload-config", http.MethodPost, "/config/reload", tag, "Read the configuration file again",
		"An invalid file, or one that loses deliveries, is refused and changes nothing."), s.reload)
}

func (s *server) listSources(context.Context, *struct{}) (*answer[Page[Source]], error) {
	c, _ := s.Gateway.Config()
	return whole(each(c.Sources, func(src *config.Source) Source {
		out := Source{Name: src.Name, Provider: src.Kind, Path: "/in/" + src.Name,
			MaxBody: src.MaxBody, DedupeS: src.Dedupe.Seconds()}
		if c.PublicURL != nil {
			out.URL = c.PublicURL.JoinPath("in", src.Name).String()
		}
		return out
	})), nil
}

func (s *server) listRoutes(context.Context, *struct{}) (*answer[Page[Route]], error) {
	c, _ := s.Gateway.Config()
	return whole(each(c.Routes, func(r *config.Route) Route {
		return Route{Name: r.Name, From: r.From, Types: each(r.Types, same),
			Filtered: r.When != nil, Transform: r.Transform != nil, To: r.To}
	})), nil
}

func (s *server) getConfig(ctx context.Context, _ *struct{}) (*answer[Revision], error) {
	_, running := s.Gateway.Config()
	return s.revision(ctx, running)
}

func (s *server) listRevisions(ctx context.Context, in *Paging) (*answer[Page[Revision]], error) {
	_, running := s.Gateway.Config()
	l, err := s.Store.ListRevisions(ctx, in.page())
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return page(l, func(r seawall.Revision) Revision {
		r.Text = nil
		return formRevision(r, running)
	}), nil
}

func (s *server) getRevision(ctx context.Context, in *struct {
	Number int64 `path:"number" minimum:"1"`
}) (*answer[Revision], error) {
	return s.revision(ctx, in.Number)
}

func (s *server) revision(ctx context.Context, number int64) (*answer[Revision], error) {
	_, running := s.Gateway.Config()
	r, err := s.Store.Revision(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", number, err)
	}
	return &answer[Revision]{formRevision(*r, running)}, nil
}

func (s *server) reload(ctx context.Context, in *struct{ Body *ReloadRequest }) (*answer[Revision], error) {
	drop := in.Body != nil && in.Body.Drop
	r, warnings, err := s.Gateway.Reload(ctx, by(ctx), drop)
	if err != nil {
		return nil, fmt.Errorf("reload: %w", err)
	}
	form := formRevision(r, r.Number)
	form.Warnings = warnings
	return &answer[Revision]{form}, nil
}
