package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
)

// another does what another node's reload does to the store.
func another(t *testing.T, r *running, text string) {
	t.Helper()
	if _, err := r.store.AddRevision(t.Context(), time.Now(), "another node", []byte(text)); err != nil {
		t.Fatal(err)
	}
	r.hear(store.Signal{})
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestG10_EveryNodeAdoptsTheNewestConfiguration(t *testing.T) {
	shop := newConsumer(t)
	first := configuration(t, t.TempDir(), shop.URL+"/hooks")
	r := run(t, first, func(o *Options) {
		o.Parse = func(text []byte) (*config.Config, error) {
			c := changed(t, first, string(text), shop.URL+"/adopted")
			c.Node = config.Node{Listen: "another node's"}
			return c, nil
		}
	})
	another(t, r, "second")
	eventually(t, "revision 2 runs", func() bool { _, n := (*gateway)(r.App).Config(); return n == 2 })
	if c, _ := (*gateway)(r.App).Config(); c.Node != first.Node {
		t.Errorf("what belongs to the node became %+v", c.Node)
	}
	if err := (*gateway)(r.App).Ready(); err != nil {
		t.Error(err)
	}
	r.send(1)
	if got := shop.next(t); got.URL.Path != "/adopted" {
		t.Errorf("delivered to %s", got.URL.Path)
	}
}

// A node whose environment lacks what the newest configuration refers to goes on
// with the one before, and says that it is not ready, until one comes that it
// can run.
func TestG10_NodeThatCannotAdoptGoesOnAndIsNotReady(t *testing.T) {
	shop := newConsumer(t)
	var log lines
	first := configuration(t, t.TempDir(), shop.URL+"/hooks")
	r := run(t, first, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(io.MultiWriter(&log, t.Output()), nil))
		o.Parse = func(text []byte) (*config.Config, error) {
			if string(text) == "second" {
				return nil, errors.New("seawall.yaml:7:3: the variable CRM_TOKEN is not set")
			}
			return changed(t, first, string(text), shop.URL+"/hooks"), nil
		}
	})
	another(t, r, "second")
	g := (*gateway)(r.App)
	eventually(t, "not ready", func() bool { return g.Ready() != nil })
	if err := g.Ready(); !strings.Contains(err.Error(), "revision 2") || strings.Contains(err.Error(), "CRM_TOKEN") {
		t.Errorf("anybody is told: %v", err)
	}
	eventually(t, "said in the log", func() bool { return log.count("CRM_TOKEN") > 0 })
	for range 5 {
		r.adopt(t.Context())
	}
	if n := log.count("CRM_TOKEN"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if _, n := g.Config(); n != 1 {
		t.Errorf("revision %d runs", n)
	}
	if status := r.send(1); status != 200 {
		t.Errorf("answered %d", status)
	}
	shop.next(t)
	another(t, r, "third")
	eventually(t, "ready again, on revision 3", func() bool { _, n := g.Config(); return n == 3 && g.Ready() == nil })
}

type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), word)
}

func TestG10_TheFileOfANodeThatStarts(t *testing.T) {
	const one = "listen: ':1'\nretention: { events: 1d }"
	const oneElsewhere = "# another machine\nlisten: ':2'\nretention:\n  events: 1d"
	const two, three = "retention: { events: 2d }", "retention: { events: 3d }"
	for _, c := range []struct {
		name     string
		had      []string // revisions, first to last
		file     string
		shared   bool
		revision int64
		runs     string
		added    bool
	}{
		{"the first", nil, one, true, 1, one, true},
		{"the newest", []string{one, two}, two, true, 2, two, false},
		{"the newest, but for what is the node's", []string{two, one}, oneElsewhere, true, 2, oneElsewhere, false},
		{"a new one", []string{one, two}, three, true, 3, three, true},
		{"one left behind", []string{one, two, three}, oneElsewhere, true, 3, three, false},
		{"the file of the only node is right", []string{one, two, three}, one, false, 4, one, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := configuration(t, t.TempDir(), "http://127.0.0.1:1/")
			conf.Text = []byte(c.file)
			parse := func(text []byte) (*config.Config, error) {
				n := configuration(t, t.TempDir(), "http://127.0.0.1:1/")
				n.Text = text
				return n, nil
			}
			s, err := engine.Open(t.Context(), conf.Node.Store, engine.Options{Serve: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i, text := range c.had {
				if _, err := s.AddRevision(t.Context(), time.Now(), fmt.Sprint(i), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			a := &App{Options: Options{Config: conf, Parse: parse, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, store: s, shared: c.shared}
			l, err := a.first(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if l.revision != c.revision || string(l.config.Text) != c.runs || l.config.Node != conf.Node {
				t.Errorf("runs revision %d, %q, node %+v; want %d, %q", l.revision, l.config.Text, l.config.Node, c.revision, c.runs)
			}
			if latest, err := s.Latest(t.Context()); err != nil || (latest.By == "start") != c.added {
				t.Errorf("newest in the store: %+v, %v", latest, err)
			}
		})
	}
}

func TestG10_ReloadOfTheSameIsNoNewRevision(t *testing.T) {
	shop := newConsumer(t)
	r, next := reloader(t, shop)
	for _, text := range []string{"listen: ':1'\nlimits: { body: 1MiB }", "listen: ':2'\nlimits: { body: 1MiB } # the same"} {
		*next = changed(t, *next, text, shop.URL+"/hooks")
		rev, _, err := r.Reload(t.Context(), "test", false)
		if err != nil || rev.Number != 2 {
			t.Errorf("revision %d, %v; want 2", rev.Number, err)
		}
	}
}
