package sqlite_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := storetest.NewClock()
		path := filepath.Join(t.TempDir(), "seawall.db")
		s := open(t, path, sqlite.Options{Now: clock.Now, Exclusive: true})
		return storetest.Harness{
			Store: s,
			Clock: clock,
			Reopen: func(t *testing.T) store.Store {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, path, sqlite.Options{Now: clock.Now, Exclusive: true})
				return s
			},
			Another: func(t *testing.T) store.Store {
				return open(t, filepath.Join(t.TempDir(), "another.db"), sqlite.Options{Now: clock.Now, Exclusive: true})
			},
			Crash: func(t *testing.T) store.Store {
				path = copyStore(t, path)
				s = open(t, path, sqlite.Options{Now: clock.Now, Exclusive: true})
				return s
			},
		}
	})
}

func open(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// copyStore copies the file and then its log, as they are: the order in which a
// crash would find them if nothing is checkpointed in between.
func copyStore(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.db")
	for _, suffix := range []string{"", "-wal"} {
		in, err := os.Open(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.Create(to + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		out.Close()
	}
	return to
}
