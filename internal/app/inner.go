package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/front"
	"github.com/seawall-dev/seawall/internal/inner"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// alone is a listener that stands in for one system.
type alone struct {
	system string
	net.Listener
}

// startCalls makes the rooms that the product talks to.
func (a *App) startCalls() {
	a.calls = call.New(call.Options{
		Current: func() *call.Current { return a.path.now().calls }, Store: a.store, Reserve: a.path.reserve(a.lanes),
		Wake: (*gateway)(a).Wake, Log: a.Log, Now: a.Now, Random: a.Random, Shared: a.shared,
		Stopping: a.stopping,
	})
	a.inner = inner.New(inner.Options{
		Current: func() *call.Current { return a.path.now().calls }, Calls: a.calls, System: a.reads, Events: a.receive,
		Tokens: a.store, Log: a.Log, Now: a.Now, Random: a.Random,
	})
}

// callable is the configuration as far as calls need it.
func callable(l *live) *call.Current {
	systems := map[string]*config.System{}
	for _, s := range l.config.Systems {
		if s.URL != nil {
			systems[s.Name] = s
		}
	}
	return &call.Current{
		Config: l.config, Revision: l.revision,
		System: func(name string) *config.System { return systems[name] },
		Plan: func(ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
			return l.plan.Plan(l.revision, ev, now)
		},
	}
}

// bindInner binds the listeners for the product, where there are any.
func (a *App) bindInner() (err error) {
	if at := a.Config.Node.Inner; at != "" {
		if a.private, err = a.listen("internal", at); err != nil {
			return err
		}
	}
	for _, s := range a.Config.Systems {
		if s.Proxy == "" {
			continue
		}
		l, err := a.listen("system "+s.Name, s.Proxy)
		if err != nil {
			return err
		}
		a.alone = append(a.alone, alone{s.Name, l})
	}
	return nil
}

// unbound are the systems that a configuration wants another listener for than
// was opened at the start.
func (a *App) unbound(c *config.Config) (names []string) {
	wanted := map[string]string{}
	for _, s := range a.Config.Systems {
		wanted[s.Name] = s.Proxy
	}
	for _, s := range c.Systems {
		if wanted[s.Name] != s.Proxy {
			names = append(names, s.Name)
		}
	}
	return names
}

// serving is a server at its listener.
type serving struct {
	*http.Server
	at net.Listener
}

// innerServers are those of the product's listeners.
func (a *App) innerServers() (out []serving) {
	add := func(l net.Listener, h http.Handler) {
		door := front.NewDoor(l, a.Config.Limits.Memory)
		s := inner.Server(h, a.Log)
		s.ConnState = door.Watch
		out = append(out, serving{s, door})
	}
	if a.private != nil {
		add(a.private, a.inner)
	}
	for _, l := range a.alone {
		add(l.Listener, a.inner.Alone(l.system))
	}
	return out
}

// InnerAddr is where the product's events and calls are taken in; "" if nowhere.
func (a *App) InnerAddr() string {
	if a.private == nil {
		return ""
	}
	return a.private.Addr().String()
}

// reads is a system as what only looks passes through to it.
func (a *App) reads(name string) inner.System {
	y, s := a.systems.Of(name), a.path.now().calls.System(name)
	if y == nil || s == nil {
		return nil
	}
	return reader{y, send.Timeouts(s.Timeout)}
}

type reader struct {
	*system.System
	limits send.Timeouts
}

// flowOfReads is in whose turn reads are: after all that waits for the system, and
// before more of it.
const flowOfReads = "reads"

func (r reader) Read(ctx context.Context, req *send.Request) (*http.Response, send.Reply, error) {
	pass, err := r.EnterClosed(ctx, flowOfReads)
	if err != nil {
		return nil, send.Reply{}, err
	}
	passed := false
	defer func() {
		if !passed { // nor by a panic
			pass.Leave()
		}
	}()
	resp, reply := pass.Stream(ctx, req, r.limits)
	if resp == nil {
		return nil, reply, nil
	}
	resp.Body, passed = leaving{resp.Body, pass}, true
	return resp, reply, nil
}

// leaving is a body with which the leave to ask is given back.
type leaving struct {
	io.ReadCloser
	pass *system.Pass
}

func (l leaving) Close() error {
	l.pass.Leave()
	return l.ReadCloser.Close()
}

// shutdown lets the product's requests end. Who waits for the end of a call is
// answered that it is on its way: the next node, or the next start, goes on.
func shutdown(ctx context.Context, ss []serving) error {
	var all errgroup.Group
	for _, s := range ss {
		all.Go(func() error { return s.Shutdown(ctx) })
	}
	return all.Wait()
}
