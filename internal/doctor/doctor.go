// Package doctor examines a gateway's configuration and store, and says for each
// thing how it is and what to do. It mends nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/seawall"
)

// Level is how bad a finding is.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // works, and should be looked at
	Fail Level = "fail" // does not work, or is not safe
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

// Options say what to examine.
type Options struct {
	Config    *config.Config // nil: it is not valid
	Problem   error          // why
	Node      config.Node
	NodeErr   error  // why the store is not known
	Admin     string // URL of the gateway's admin listener; "": it is not known
	Now       func() time.Time
	Transport http.RoundTripper
}

// patience bounds each look that waits for somebody else.
const patience = 10 * time.Second

// Examine looks at everything and calls f with each finding, as it is found.
func Examine(ctx context.Context, o Options, f func(Finding)) {
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &examination{Options: o, found: f}
	e.configuration()
	e.gateway(ctx)
	if o.NodeErr != nil {
		return // the configuration's finding says so
	}
	usable := e.schema(ctx)
	if o.Node.Store.Engine() == "postgres" {
		e.postgres(ctx)
	} else {
		e.sqlite(ctx)
	}
	if usable {
		e.queues(ctx)
	}
}

type examination struct {
	Options
	found func(Finding)
}

func (e *examination) ok(check, format string, args ...any) {
	e.found(Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

func (e *examination) warn(check, do, format string, args ...any) {
	e.found(Finding{check, Warn, fmt.Sprintf(format, args...), do})
}

func (e *examination) fail(check, do, format string, args ...any) {
	e.found(Finding{check, Fail, fmt.Sprintf(format, args...), do})
}

// failed is a finding made of an error.
func (e *examination) failed(check string, err error) { e.fail(check, seawall.Hint(err), "%v", err) }

func (e *examination) configuration() {
	const check = "configuration"
	var problems config.Errors
	switch {
	case errors.As(e.Problem, &problems):
		for _, p := range problems {
			e.fail(check, p.Hint, "%s", p.Error())
		}
	case e.Problem != nil:
		e.failed(check, e.Problem)
	default:
		systems := ""
		if n := len(e.Config.Declared()); n > 0 {
			systems = fmt.Sprintf("%d systems, ", n)
		}
		e.ok(check, "%s%d sources, %d destinations, %d routes", systems, len(e.Config.Sources), len(e.Config.Destinations), len(e.Config.Routes))
		for _, w := range e.Config.Warnings {
			e.warn(check, "", "%s", w)
		}
	}
}

// gateway asks the running one whether it can take something in.
func (e *examination) gateway(ctx context.Context) {
	const check = "gateway"
	if e.Admin == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Admin+"/readyz", nil)
	if err != nil {
		e.failed(check, err)
		return
	}
	res, err := (&http.Client{Transport: e.Transport}).Do(req)
	if err != nil {
		e.warn(check, "start it: seawall serve", "none answers at %s", e.Admin)
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		e.fail(check, "its log says why", "it runs at %s and is not ready: HTTP %d", e.Admin, res.StatusCode)
		return
	}
	e.ok(check, "ready at %s", e.Admin)
}

// schema tells whether the store can be looked into.
func (e *examination) schema(ctx context.Context) (usable bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := engine.Schema(ctx, e.Node.Store)
	switch {
	case errors.Is(err, seawall.ErrNotFound):
		e.warn("store", "seawall serve makes it as it starts", "%v", err)
		return false
	case err != nil:
		e.failed("store", err)
		return false
	}
	e.ok("store", "%s", e.Node.Store)
	if err := s.Serves(); err != nil {
		e.failed("schema", err)
		return false
	}
	if len(s.Pending) > 0 {
		e.warn("schema", "seawall migrate up, or the next start of the gateway, brings it there", "version %d; this seawall makes it version %d", s.Version, s.Newest)
		return false
	}
	e.ok("schema", "version %d; this seawall serves %d and %d", s.Version, s.Newest, s.Newest+1)
	return true
}
