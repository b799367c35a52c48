package postgres_test

import (
	"context"
	"os"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

// database makes an empty store, as a copy of one that was migrated.
func database(t testing.TB) string {
	t.Helper()
	return pgcluster.SharedCopy(t, "seawall", func(ctx context.Context, url string) error {
		s, err := postgres.Open(ctx, url, postgres.Options{})
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
