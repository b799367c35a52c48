package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	pingTime  = 2 * time.Second
	pingCache = 250 * time.Millisecond // long enough for a crowd of askers, short enough for what is asked
)

// readiness remembers for a moment whether the store can commit, so that
// anyone may ask as often as they like. The zero value with a store is ready.
type readiness struct {
	store store.Upkeep

	mu  sync.Mutex
	at  time.Time
	err error
}

func (r *readiness) check(ctx context.Context, now func() time.Time, log *slog.Logger) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := now().Sub(r.at); !r.at.IsZero() && age >= 0 && age < pingCache {
		return r.err == nil
	}
	// The answer is for all who ask, not only for who asks first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTime)
	defer cancel()
	was := r.err
	r.err = r.store.Ping(ctx)
	r.at = now()
	switch {
	case r.err != nil && was == nil:
		log.Error("not ready: the store cannot commit", "error", r.err)
	case r.err == nil && was != nil:
		log.Info("ready again: the store can commit")
	}
	return r.err == nil
}

// isReady tells why new work is not welcome; nil if it is. The cause is in the
// log: strangers may ask.
func (s *server) isReady(ctx context.Context) error {
	select {
	case <-s.Stopping:
		return seawall.Errorf(seawall.ErrUnavailable, "the gateway is stopping")
	default:
	}
	if !s.ready.check(ctx, s.Now, s.Log) {
		return seawall.Errorf(seawall.ErrUnavailable, "the store cannot commit")
	}
	return s.Gateway.Ready()
}

// health serves what machines ask about the process: open to all, except for
// the metrics.
func (s *server) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "alive\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.isReady(r.Context()); err != nil {
			s.problem(r.Context(), err).Write(w)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	if s.Metrics != nil {
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
			// A scraper on this machine needs no token, even where there are
			// some: the metrics hold names and numbers only.
			if !s.local || fromHere(r) != nil {
				if _, no := s.admit(r); no != nil {
					no.Write(w)
					return
				}
			}
			s.Metrics.ServeHTTP(w, r)
		})
	}
}

func (s *server) registerStatus(doc huma.API) {
	handle(s, doc, op("get-status", http.MethodGet, "/status", "status", "How the gateway is", ""), s.status)
}

func (s *server) status(ctx context.Context, _ *struct{}) (*answer[Status], error) {
	size, err := s.Store.Size(ctx)
	if err != nil {
		return nil, fmt.Errorf("size of the store: %w", err)
	}
	latest, err := s.latest(ctx)
	if err != nil {
		return nil, err
	}
	_, revision := s.Gateway.Config()
	return &answer[Status]{Status{
		Version: s.Version, Node: s.Node,
		Started: s.started, UptimeS: s.Now().Sub(s.started).Seconds(),
		Revision: revision, StoreSize: size, Ready: s.isReady(ctx) == nil,
		Principal: by(ctx), LatestSeq: latest,
	}}, nil
}
