// Package app joins the rooms into a gateway: it opens the store, binds the
// listeners, runs everything until told to stop, and then stops it in the order
// that loses nothing. path.go states the two halves of an event's way.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/front"
	"github.com/seawall-dev/seawall/internal/inner"
	"github.com/seawall-dev/seawall/internal/lane"
	"github.com/seawall-dev/seawall/internal/metrics"
	"github.com/seawall-dev/seawall/internal/outcome"
	"github.com/seawall-dev/seawall/internal/receive"
	"github.com/seawall-dev/seawall/internal/record"
	"github.com/seawall-dev/seawall/internal/resolve"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

// Options say what to run. Config, Load and Parse are needed.
type Options struct {
	Config  *config.Config                            // the checked configuration to start with
	Load    func() (*config.Config, error)            // reads the file again, for a reload
	Parse   func(text []byte) (*config.Config, error) // reads an earlier revision
	Version string
	Log     *slog.Logger // default slog.Default()

	Now    func() time.Time // default time.Now
	Random io.Reader        // for ids; default crypto/rand; safe for concurrent use
	Jitter func() float64   // in [0,1), for backoff; default math/rand; likewise
	Drain  time.Duration    // how long a stop waits for attempts in flight; default 30 s
}

// cacheShare is the part of the memory limit that the store may keep pages in.
const cacheShare = 8

// failedDrain is how long requests are waited for once the store has failed:
// none of them can be accepted any more.
const failedDrain = 2 * time.Second

// App is a gateway: opened, then run once.
type App struct {
	Options
	node     string
	store    engine.Store
	metrics  *metrics.Metrics
	path     *path
	lanes    *lane.Runner
	systems  *system.Systems
	records  *record.Records
	outcomes *outcome.Maker
	resolver *resolve.Resolver
	receive  *receive.Receiver
	calls    *call.Calls
	inner    *inner.Handler

	public, admin net.Listener
	private       net.Listener // nil: there is no internal listener
	alone         []alone
	accepted      notice
	stopping      chan struct{}
	closers       closers
	reloading     sync.Mutex

	shared  bool // other nodes may serve the same store
	waiting strays
	behind  atomic.Pointer[behind] // the newest configuration, where it cannot be run here
}

// Open makes everything ready: when it returns, both listeners are bound and
// the store is open, but nothing is answered or sent before Run. The caller
// must call Run or Close.
func Open(ctx context.Context, o Options) (_ *App, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Jitter == nil {
		o.Jitter = mathrand.Float64
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	a := &App{
		Options: o, node: nodeName(o.Random), metrics: metrics.New(o.Version), stopping: make(chan struct{}),
		shared: o.Config.Node.Store.Engine() != "sqlite",
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()

	if a.store, err = engine.Open(ctx, o.Config.Node.Store, engine.Options{Serve: true, Cache: o.Config.Limits.Memory / cacheShare, Now: o.Now, Log: o.Log}); err != nil {
		return nil, err
	}
	a.closers.add("store", a.store.Close)
	// All nodes go by one clock: what one finds due, the others do.
	a.Now = func() time.Time { return o.Now().Add(a.store.Ahead()) }
	if err = a.start(ctx); err != nil {
		return nil, err
	}
	if a.public, err = a.listen("public", o.Config.Node.Listen); err != nil {
		return nil, err
	}
	if a.admin, err = a.listen("admin", o.Config.Node.Admin); err != nil {
		return nil, err
	}
	if err = a.bindInner(); err != nil {
		return nil, err
	}
	return a, nil
}

// start makes the rooms, on the stored revision of the configuration.
func (a *App) start(ctx context.Context) error {
	first, err := a.first(ctx)
	if err != nil {
		return err
	}
	gone, err := a.orphans(ctx, first.config)
	if err != nil {
		return err
	}
	for _, o := range gone {
		a.Log.Warn("deliveries wait for a destination that is not in the configuration",
			"destination", o.Destination, "count", o.Count)
	}
	a.path = newPath(a, first)
	a.outcomes = &outcome.Maker{Current: a.path.outcomes, Now: a.Now, Random: a.Random}
	a.systems = system.New(system.Options{
		Emit: a.outcomes.System, Accepted: a.announce,
		Store: a.store, Node: a.node, Alone: !a.shared, Agent: agent(a.Version), Now: a.Now, Log: a.Log,
	})
	a.systems.Use(first.config)
	if err := a.systems.Learn(ctx); err != nil {
		return fmt.Errorf("states of systems: %w", err)
	}
	a.records = record.New(record.Options{Now: a.Now})
	a.lanes = lane.New(lane.Options{
		Store: a.store, Node: a.node, Wanted: a.wanted, Deliver: a.path.deliver, Enter: a.path.enter, Anywhere: a.path.anywhere, Over: a.over, Settled: a.settled,
		Duties: []lane.Duty{{Name: "retention", Do: a.upkeep}},
		Log:    a.Log, Now: a.Now, Poll: a.poll(), Gather: a.gather(), Drain: a.Drain, Bytes: a.Config.Limits.Memory / 4, Failed: a.store.Failed(),
	})
	if err := a.startResolver(ctx); err != nil {
		return err
	}
	a.receive = receive.New(receive.Options{
		Current: a.path.current, Store: a.store, Reserve: a.path.reserve(a.lanes), Known: a.resolver.Known,
		Metrics: a.metrics, Log: a.Log, Now: a.Now, Random: a.Random,
	})
	a.startCalls()
	a.metrics.Watch(a.store, a.Now)
	a.metrics.WatchCommits(a.store.Commits)
	a.metrics.WatchSystems(a.systems.Status, a.Now)
	return nil
}

func (a *App) listen(what, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, (&seawall.Error{Kind: seawall.ErrUnavailable, Err: err,
			Msg: fmt.Sprintf("%s listener on %s: %v", what, addr, err)}).
			WithHint("is another gateway running? choose another address, or stop what listens there")
	}
	a.closers.add(what+" listener", func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

// PublicAddr is where webhooks are received.
func (a *App) PublicAddr() string { return a.public.Addr().String() }

// AdminAddr is where the API answers.
func (a *App) AdminAddr() string { return a.admin.Addr().String() }

// Run serves until ctx ends or something fails that cannot be lived with. It
// then stops receiving, lets attempts in flight end, records their outcomes,
// and closes everything.
func (a *App) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Notes are written for as long as requests are answered.
	notes, stopNotes := context.WithCancel(context.WithoutCancel(ctx))
	defer stopNotes()
	// What systems allow is renewed for as long as anything may be sent.
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()

	door := front.NewDoor(a.public, a.Config.Limits.Memory)
	public, admin := front.New(a.receive, a.Log), a.adminServer()
	var servers, workers, notary, keeper errgroup.Group
	servers.Go(func() error { return serve(public, door, fail) })
	servers.Go(func() error { return serve(admin, a.admin, fail) })
	inners := a.innerServers()
	for _, s := range inners {
		servers.Go(func() error { return serve(s.Server, s.at, fail) })
	}
	workers.Go(func() error { return a.lanes.Run(run) })
	workers.Go(func() error { return a.calls.Run(run) })
	workers.Go(func() error { return a.resolver.Run(run) })
	workers.Go(func() error { return a.listenTo(run) })
	workers.Go(func() error { return a.watch(run, fail) })
	notary.Go(func() error { return a.receive.Run(notes) })
	keeper.Go(func() error { return a.systems.Run(sending) })
	a.Log.Info("listening", "public", a.PublicAddr(), "admin", a.AdminAddr(), "internal", a.InnerAddr(), "revision", a.path.now().revision)
	for _, l := range a.alone {
		a.Log.Info("listening for a system", "system", l.system, "at", l.Addr().String())
	}

	<-run.Done()
	close(a.stopping)
	drain := a.Drain
	select {
	case <-a.store.Failed():
		drain = min(drain, failedDrain)
	default:
	}
	a.Log.Info("stopping", "drain", drain)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	// Receiving ends first, the API last: it shows how the stop gets on.
	err = errors.Join(public.Shutdown(stop), shutdown(stop, inners), workers.Wait(), admin.Shutdown(stop), servers.Wait())
	stopNotes()
	stopSending()
	return errors.Join(err, notary.Wait(), keeper.Wait())
}

func serve[L net.Listener](s interface{ Serve(L) error }, l L, fail context.CancelCauseFunc) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		fail(err)
		return err
	}
	return nil
}

// watch ends everything when the store can no longer be trusted: after a failed
// fsync nothing that is written is known to be durable until it is reopened.
func (a *App) watch(run context.Context, fail context.CancelCauseFunc) error {
	select {
	case <-run.Done():
		return nil
	case <-a.store.Failed():
		err := seawall.Errorf(seawall.ErrUnavailable, "the store failed to write and cannot be trusted until it is reopened").
			WithHint("check the disk; the gateway recovers when it is started again")
		fail(err)
		return err
	}
}

// Close gives everything back; it may be called more than once.
func (a *App) Close() error { return a.closers.run(a.Log) }

func (a *App) adminServer() *http.Server {
	changed := a.accepted.changed
	if a.shared {
		changed = nil // other nodes accept too
	}
	return &http.Server{
		Handler: api.New(api.Options{
			Store: a.store, Gateway: (*gateway)(a), Calls: a.calls, Listen: a.AdminAddr(), Version: a.Version, Node: a.node,
			Metrics: a.metrics.Handler(), Changed: changed, Stopping: a.stopping,
			Log: a.Log, Now: a.Now, Random: a.Random,
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      90 * time.Second, // longer than the API's own bound
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.Log.Handler(), slog.LevelDebug),
	}
}

// agent is the header user-agent of what the gateway sends of its own.
func agent(version string) string {
	if version == "" {
		return "seawall"
	}
	return "seawall/" + version
}

// poll is how often queues look that nobody wakes. A signal from another node may
// be lost; in the only one, none is.
func (a *App) poll() time.Duration {
	if a.shared {
		return time.Second
	}
	return 5 * time.Second
}

// gather is how long an outcome waits for others. A commit of its own costs a
// server more than a row does; the file of a single process shares commits with
// what is accepted anyway.
func (a *App) gather() time.Duration {
	if a.shared {
		return 5 * time.Millisecond
	}
	return 0
}

// nodeName is this process's alone: containers often have one name and one
// process number all of them, and two nodes of one name would hold each other's
// leases.
func nodeName(random io.Reader) string {
	host, err := os.Hostname()
	if err != nil {
		host = "seawall"
	}
	var b [4]byte
	_, _ = io.ReadFull(random, b[:]) // crypto/rand does not fail
	return fmt.Sprintf("%s-%d-%x", host, os.Getpid(), b)
}
