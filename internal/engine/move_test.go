package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/internal/store/storetest"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

// opener opens an empty store.
type opener func(t *testing.T, clock *storetest.Clock) store.Store

func onSQLite(t *testing.T, clock *storetest.Clock) store.Store {
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), sqlite.Options{Now: clock.Now, Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func onPostgres(t *testing.T, clock *storetest.Clock) store.Store {
	s, err := postgres.Open(t.Context(), database(t), postgres.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func database(t *testing.T) string {
	t.Helper()
	return pgcluster.SharedCopy(t, "seawall", func(ctx context.Context, url string) error {
		_, err := postgres.Migrate(ctx, url)
		return err
	})
}

// What moves from one engine to the other is the same there, both ways.
func TestMoveBetweenEngines(t *testing.T) {
	for name, ends := range map[string][2]opener{
		"to PostgreSQL":   {onSQLite, onPostgres},
		"from PostgreSQL": {onPostgres, onSQLite},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.RunTransfer(t, func(t *testing.T) storetest.Harness {
				clock := storetest.NewClock()
				return storetest.Harness{
					Store:   ends[0](t, clock),
					Clock:   clock,
					Another: func(t *testing.T) store.Store { return ends[1](t, clock) },
				}
			})
		})
	}
}
