package system

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

// on runs a test on each engine, with the stores of two nodes; of SQLite there is
// but one.
func on(t *testing.T, test func(t *testing.T, stores [2]Store)) {
	open := func(t *testing.T, addr string) Store {
		s, err := engine.Open(t.Context(), config.Store(addr), engine.Options{Serve: true, Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	t.Run("sqlite", func(t *testing.T) {
		s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "seawall.db"))
		test(t, [2]Store{s, s})
	})
	t.Run("postgres", func(t *testing.T) {
		db := pgcluster.Shared(t)
		test(t, [2]Store{open(t, db), open(t, db)})
	})
}

// nodes are two nodes that run, and hear each other's signals.
func nodes(t *testing.T, stores [2]Store, y config.System) (out [2]*Systems) {
	y.Name = "crm"
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i, s := range stores {
		n := New(Options{Store: s, Node: fmt.Sprint("node", i), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		n.Use(&config.Config{Systems: []*config.System{&y}, Egress: loopback})
		running.Go(func() { _ = n.Run(ctx) })
		if l, ok := s.(interface {
			Listen(context.Context, func(store.Signal)) error
		}); ok {
			running.Go(func() { _ = l.Listen(ctx, n.Hear) })
		}
		out[i] = n
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	return out
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s: ", what)
		}
	}
}

func TestG8_LimitsHoldOnTheStores(t *testing.T) {
	on(t, func(t *testing.T, stores [2]Store) {
		limit := config.System{Limit: config.Limit{Every: 20 * time.Millisecond, Burst: 5, Concurrency: 3}}
		ns := nodes(t, stores, limit)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var mu sync.Mutex
		flight, most := 0, 0
		by := [2]int{}
		start := time.Now()
		var work sync.WaitGroup
		for i := range ns {
			for range 4 {
				work.Go(func() {
					for {
						p, err := ns[i].Of("crm").Enter(ctx, "q")
						if err != nil {
							return
						}
						mu.Lock()
						flight++
						most = max(most, flight)
						by[i]++
						mu.Unlock()
						time.Sleep(10 * time.Millisecond)
						mu.Lock()
						flight--
						mu.Unlock()
						answers(p, status(200))
					}
				})
			}
		}
		work.Wait()
		may := 5 + int(time.Since(start)/(20*time.Millisecond))
		if n := by[0] + by[1]; most > 3 || n > may || n < may/5 {
			t.Errorf("%v requests, where %d may be made, %d at a time of 3", by, may, most)
		}
	})
}

func TestG7_BreakerOnTheStores(t *testing.T) {
	on(t, func(t *testing.T, stores [2]Store) {
		ns := nodes(t, stores, config.System{Breaker: config.Breaker{Open: 500 * time.Millisecond}})
		a, b := ns[0].Of("crm"), ns[1].Of("crm")
		for range 20 {
			asks(t, a, refused)
		}
		waitFor(t, "the other node knows", func() bool { _, open := b.Open(); return open })

		// Of all who wait on both nodes one has the probe.
		var mu sync.Mutex
		var passes []*Pass
		for _, y := range []*System{a, b, a, b, a, b} {
			go func() {
				p, err := y.Enter(t.Context(), "q")
				if err != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				passes = append(passes, p)
			}()
		}
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(passes) }
		waitFor(t, "a probe", func() bool { return count() > 0 })
		half := func(y *System) bool { return y.status().State.Breaker == seawall.BreakerHalfOpen }
		waitFor(t, "both nodes know of it", func() bool { return half(a) && half(b) })
		if n := count(); n != 1 {
			t.Errorf("%d probes", n)
		}
		mu.Lock()
		p := passes[0]
		mu.Unlock()
		answers(p, status(200))
		waitFor(t, "everybody is let in", func() bool { return count() == 6 })
	})
}

func TestHoldOnTheStoresOutlivesARestart(t *testing.T) {
	on(t, func(t *testing.T, stores [2]Store) {
		ns := nodes(t, stores, config.System{})
		asks(t, ns[0].Of("crm"), status(429, "Retry-After", "3600"))
		waitFor(t, "it is written", func() bool {
			s := New(Options{Store: stores[1], Node: "later", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
			s.Use(&config.Config{Systems: []*config.System{{Name: "crm"}}})
			if err := s.Learn(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := s.Of("crm").Enter(ctx, "q")
			return err != nil
		})
	})
}

func TestRotatingRefreshTokenOnTheStores(t *testing.T) {
	on(t, func(t *testing.T, stores [2]Store) {
		p := &provider{life: 3600, refresh: "configured-refresh"}
		var os [2]*oauth
		for i, s := range nodes(t, stores, config.System{}) {
			os[i] = s.oauth("crm", config.OAuth2{
				TokenURL: mustURL(t, "https://id.example/token"), ID: "me", Secret: "client-secret", Refresh: "configured-refresh",
			}, p.do, box, nil).(*oauth)
		}
		for n := range 10 { // each token is refused as soon as both have it
			var work sync.WaitGroup
			for _, o := range os {
				for range 4 {
					work.Go(func() {
						if _, err := o.token(t.Context(), fmt.Sprint("access-token-", n)); err != nil {
							t.Error(err)
						}
					})
				}
			}
			work.Wait()
		}
		if p.n != 10 || p.reuses != 0 {
			t.Errorf("%d renewals and %d uses of what was used, want 10 and 0", p.n, p.reuses)
		}
		next := seal.New([]seal.Key{{ID: "k2", Bytes: [32]byte{2}}, {ID: "k", Bytes: [32]byte{1}}})
		if n, err := seal.Rotate(t.Context(), stores[0].(seal.Vault), next, time.Now); n != 1 || err != nil {
			t.Errorf("rotated %d: %v", n, err)
		}
	})
}
