package postgres_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

// database makes an empty store, as a copy of one that was migrated.
func database(t testing.TB) string {
	t.Helper()
	return pgcluster.SharedCopy(t, "seawall", func(ctx context.Context, url string) error {
		// By the tests' clock: what days there are must not depend on the day.
		s, err := postgres.Open(ctx, url, postgres.Options{Now: storetest.NewClock().Now})
		if err != nil {
			return err
		}
		return s.Close()
	})
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := storetest.NewClock()
		url := database(t)
		o := postgres.Options{Now: clock.Now}
		s := open(t, url, o)
		return storetest.Harness{
			Store: s,
			Clock: clock,
			Reopen: func(t *testing.T) store.Store {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, url, o)
				return s
			},
			Another: func(t *testing.T) store.Store { return open(t, database(t), o) },
			Second:  func(t *testing.T) store.Store { return open(t, url, o) },
			// What a killed process leaves is what the server has: the store
			// before goes on unheeded.
			Crash: func(t *testing.T) store.Store {
				s = open(t, url, o)
				return s
			},
		}
	})
}

func open(t testing.TB, url string, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// said fails unless an error is of a kind, of one line, and says and hints at
// something.
func said(t *testing.T, err error, kind error, says, hint string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) || !strings.Contains(seawall.Hint(err), hint) {
		t.Fatalf("got %v, hint %q; want %q, %q", err, seawall.Hint(err), says, hint)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

// await waits until something is so; the deadline is the test's verdict.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within 20s: %s", what)
		case <-tick.C:
		}
	}
}
