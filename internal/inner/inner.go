// Package inner is the internal listener: what the product itself talks to. It
// takes events and calls in, and stands in for the systems that calls go to.
// Every request needs a token (docs/calls.md).
package inner

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Calls is what takes calls over.
type Calls interface {
	Post(ctx context.Context, p call.Post) (*call.Posted, error)
	Get(ctx context.Context, id seawall.EventID) (*call.Call, error)
	Wait(ctx context.Context, c *call.Call) (*call.Call, error)
	Cancel(ctx context.Context, c *call.Call, reason string, a seawall.Action) (*call.Call, error)
}

// System is a system that reads pass through to.
type System interface {
	// Open tells whether it is left alone at the moment, and until when.
	Open() (until time.Time, open bool)
	// Read waits for the system's leave, under the flow of reads, puts on its
	// credentials and sends. The response's body is the caller's to read and to
	// close. An error says that ctx ended before there was leave, or that the
	// system is left alone.
	Read(ctx context.Context, r *send.Request) (*http.Response, send.Reply, error)
}

// Events takes events in.
type Events interface {
	// ServeHTTP takes one that its source has to verify.
	http.Handler
	// Vouched takes one that somebody vouches for: proof says who.
	Vouched(w http.ResponseWriter, r *http.Request, proof string)
}

// Options are what the listener works with. All are needed.
type Options struct {
	Current func() *call.Current
	Calls   Calls
	System  func(name string) System // nil if there is none
	Events  Events
	Tokens  access.Store
	Log     *slog.Logger
	Now     func() time.Time
	Random  io.Reader
}

// Handler serves the internal listener.
type Handler struct {
	Options
	book    access.Book
	strikes access.Throttle
	write   problem.Writer
	mux     *http.ServeMux

	requests atomic.Int64 // being served now
	bytes    atomic.Int64 // of bodies held now
}

// New makes a Handler.
func New(o Options) *Handler {
	h := &Handler{Options: o, book: access.Book{Store: o.Tokens}, write: problem.Writer{Log: o.Log, Random: o.Random}, mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive\n") })
	h.mux.HandleFunc("/in/{source}", h.event)
	h.mux.HandleFunc("POST /api/v1/systems/{system}/calls", h.post)
	h.mux.HandleFunc("GET /api/v1/calls/{id}", h.get)
	h.mux.HandleFunc("POST /api/v1/calls/{id}/cancel", h.cancel)
	h.mux.HandleFunc("/", h.nothing)
	return h
}

// Server bounds what a connection may cost. Beyond its timeouts each request has
// a deadline of its own.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      maxWait + writeTime,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// writeTime is left for an answer, and for each piece of one that passes through.
const writeTime = 30 * time.Second

// ServeHTTP answers by the path; or, where the host names a system, for that.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.guarded(w, r, func() {
		target := origin(r)
		if name := h.hosted(r.Host); name != "" {
			h.proxy(w, r, name, target)
			return
		}
		if rest, ok := strings.CutPrefix(target, "/proxy/"); ok {
			end := strings.IndexAny(rest, "/?")
			if end < 0 {
				end = len(rest)
			}
			name, path := rest[:end], rest[end:]
			if !strings.HasPrefix(path, "/") {
				path = "/" + path
			}
			h.proxy(w, r, name, path)
			return
		}
		h.mux.ServeHTTP(w, r)
	})
}

// Alone serves a listener that is one system's.
func (h *Handler) Alone(system string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.guarded(w, r, func() { h.proxy(w, r, system, origin(r)) })
	})
}

// guarded bounds how many requests are served at once, and outlives their panics.
func (h *Handler) guarded(w http.ResponseWriter, r *http.Request, serve func()) {
	if r.ContentLength < 0 {
		// As on the public listener: what follows a chunked body may be what a
		// proxy in front took for a part of it.
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	defer h.requests.Add(-1)
	if limit := h.Current().Config.Limits.Requests; h.requests.Add(1) > int64(limit) && limit > 0 {
		problem.New(http.StatusServiceUnavailable, "too many requests at once").Write(w)
		return
	}
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			h.refuse(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	serve()
}

// origin is the request's target as it came: path and query.
func origin(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// hosted is the system that a host names by its first label; "" if none.
// What a name has as underscores, a host may have as hyphens.
func (h *Handler) hosted(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	label, rest, ok := strings.Cut(host, ".")
	if !ok || rest == "" || net.ParseIP(host) != nil {
		return ""
	}
	cur := h.Current()
	if cur.System(label) != nil {
		return label
	}
	for _, s := range cur.Config.Systems {
		if strings.EqualFold(strings.ReplaceAll(s.Name, "_", "-"), label) && cur.System(s.Name) != nil {
			return s.Name
		}
	}
	return ""
}

func (h *Handler) nothing(w http.ResponseWriter, _ *http.Request) {
	p := problem.New(http.StatusNotFound, "there is nothing at this address")
	p.Hint = "events go to /in/SOURCE, calls to /api/v1/systems/SYSTEM/calls or /proxy/SYSTEM/…"
	p.Write(w)
}

// refuse answers with what the outside sees of an error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	h.write.Of(r.Context(), err).Write(w)
}
