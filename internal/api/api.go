// Package api is the gateway's HTTP API, on the admin listener: JSON under
// /api/v1, described by an OpenAPI document that is generated from the same
// types, and beside it /metrics, /healthz and /readyz. Package client speaks
// it.
package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Gateway is what the API asks of the running gateway.
type Gateway interface {
	// Config returns the running configuration and its revision. Its Text is
	// the file as written.
	Config() (*config.Config, int64)

	// Reload reads the configuration file again. An invalid one is
	// [seawall.ErrInvalid], one that loses deliveries without drop is
	// [seawall.ErrConflict]; both change nothing. It records the action.
	Reload(ctx context.Context, by string, drop bool) (r seawall.Revision, warnings []string, err error)

	// Ready tells why no work should be brought to this node; nil if it may be.
	// Anybody may read it.
	Ready() error

	// Wake tells all nodes that deliveries to a destination may have fallen due,
	// or that its gate has changed.
	Wake(destination string)

	// Replan plans a stored event by the running configuration, adds what is
	// missing, and records the action.
	Replan(ctx context.Context, id seawall.EventID, a seawall.Action) ([]seawall.Delivery, error)

	// Alias is what an entity is called now; AliasesOf are those that were merged
	// into it, by name.
	Alias(entity string) string
	AliasesOf(entity string) []string

	// Merged tells all nodes that entities were merged, Learned that links were
	// written.
	Merged()
	Learned()

	// Systems tells how each system stands.
	Systems() []SystemStanding

	// ResetSystem lets a system be asked again; [seawall.ErrNotFound].
	ResetSystem(ctx context.Context, name string) error

	// Preview returns the request that a route would send for an event,
	// secrets redacted: by the given revision, or for 0 the running one.
	Preview(ctx context.Context, route string, ev *seawall.Event, revision int64) (*seawall.Request, error)
}

// Options are what the API works with. Store, Gateway and Calls are needed.
type Options struct {
	Store   store.Store
	Gateway Gateway
	Calls   Calls

	Listen  string // address of the admin listener: beyond loopback a token is needed
	Version string // of the program
	Node    string
	Metrics http.Handler // serves /metrics; nil: there is none

	// Changed returns a channel that is closed when the next event is accepted
	// in this process; nil: the store is asked every half second.
	Changed func() <-chan struct{}
	// Stopping is closed when the process is about to stop: it is no longer
	// ready, and who follows along is let go. May be nil.
	Stopping <-chan struct{}

	Log    *slog.Logger                           // default slog.Default()
	Now    func() time.Time                       // default time.Now
	After  func(d time.Duration) <-chan time.Time // default time.After
	Random io.Reader                              // default crypto/rand
}

// Requests are bounded in time, and so that many of them at once, those that
// merely wait for events excepted. The server's own WriteTimeout must be longer
// than requestTime.
const (
	requestTime = 60 * time.Second
	requestsMax = 64
	followsMax  = 256
)

type server struct {
	Options
	started time.Time
	tokens  access.Book
	strikes access.Throttle
	ready   readiness
	local   bool // the listener is on loopback
	work    chan struct{}
	follows chan struct{}
}

// New returns the handler of the admin listener: /api/v1, /metrics, /healthz
// and /readyz. Anything else is for the console, and 404 here.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	s := &server{
		Options: o,
		started: o.Now(),
		local:   loopbackAddress(o.Listen),
		work:    make(chan struct{}, requestsMax),
		follows: make(chan struct{}, followsMax),
	}
	s.tokens.Store = o.Store
	s.ready.store = o.Store

	mux := http.NewServeMux()
	doc := s.register(mux)
	s.describe(mux, doc)
	mux.HandleFunc("/api/v1/", notFound(mux))

	outer := http.NewServeMux()
	outer.Handle("/api/v1/", s.guard(mux))
	s.health(outer)
	return s.recovered(headers(outer))
}

// register declares every operation.
func (s *server) register(mux *http.ServeMux) huma.API {
	doc := humago.NewWithPrefix(mux, "/api/v1", describeAPI())
	s.registerEvents(doc)
	s.registerDeliveries(doc)
	s.registerOrders(doc)
	s.registerEntities(doc)
	s.registerLinks(doc)
	s.registerCalls(doc)
	s.registerSystems(doc)
	s.registerArrivals(doc)
	s.registerDestinations(doc)
	s.registerConfig(doc)
	s.registerTokens(doc)
	s.registerStatus(doc)
	return doc
}

// describeAPI is the head of the OpenAPI document.
func describeAPI() huma.Config {
	c := huma.DefaultConfig("Seawall", "1")
	c.Info.Description = "The API of a Seawall gateway, on its admin listener."
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // see describe
	c.CreateHooks = nil                                   // no $schema links in answers
	c.RejectUnknownQueryParameters = true                 // a misspelt filter must not select everything
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "Made by \"seawall token create\". " +
			"Scope read allows GET, scope admin everything. While there are no tokens, programs on the same machine need none."},
	}
	c.Security = []map[string][]string{{"token": {}}, {}}
	return c
}

// describe serves the OpenAPI document.
func (s *server) describe(mux *http.ServeMux, doc huma.API) {
	asJSON, err := json.Marshal(doc.OpenAPI())
	if err != nil {
		panic("api: the OpenAPI document: " + err.Error()) // it is made of constants
	}
	asYAML, err := doc.OpenAPI().YAML()
	if err != nil {
		panic("api: the OpenAPI document: " + err.Error())
	}
	serve := func(media string, b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = w.Write(b)
		}
	}
	mux.HandleFunc("GET /api/v1/openapi.json", serve("application/openapi+json", asJSON))
	mux.HandleFunc("GET /api/v1/openapi.yaml", serve("application/openapi+yaml", asYAML))
}

// OpenAPI returns the OpenAPI 3.1 document of the API, indented.
func OpenAPI() ([]byte, error) {
	doc := new(server).register(http.NewServeMux())
	b, err := json.MarshalIndent(doc.OpenAPI(), "", "  ")
	return append(b, '\n'), err
}

// handle registers one operation, whose errors become problems.
func handle[I, O any](s *server, doc huma.API, op huma.Operation, f func(context.Context, *I) (*O, error)) {
	huma.Register(doc, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// answer is a JSON body.
type answer[T any] struct{ Body T }

// op describes an operation.
func op(id, method, path, tag, summary, description string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{tag},
		Summary: summary, Description: description}
}
