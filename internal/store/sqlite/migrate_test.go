package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/seawall-dev/seawall/internal/store/schema"
	"github.com/seawall-dev/seawall/seawall"
)

// later returns our migrations and more of later versions.
func later(t *testing.T, more ...string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	for i, sql := range more {
		files[fmt.Sprintf("%05d_later.sql", int(newestLayout())+1+i)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + sql)}
	}
	return files
}

func TestG10_SchemaServesTheProgramBefore(t *testing.T) {
	newest := newestLayout()
	floor := fmt.Sprintf("INSERT INTO memo (key, value) VALUES ('floor', %d) ON CONFLICT DO UPDATE SET value = excluded.value;", newest+1)
	for _, c := range []struct {
		name string
		more []string
		ok   bool
	}{
		{"our own", nil, true},
		{"newer by one", []string{"CREATE TABLE t1 (x INTEGER);"}, true},
		{"newer by one, with a floor", []string{floor}, false},
		{"newer by two", []string{"CREATE TABLE t1 (x INTEGER);", "CREATE TABLE t2 (x INTEGER);"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seawall.db")
			if _, err := migrate(t.Context(), path, later(t, c.more...)); err != nil {
				t.Fatal(err)
			}
			state, err := Schema(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if state.Version != newest+int64(len(c.more)) || state.Newest != newest || len(state.Pending) != 0 {
				t.Errorf("state %+v", state)
			}
			s, err := Open(t.Context(), path, Options{})
			if (err == nil) != c.ok {
				t.Fatalf("open: %v", err)
			}
			if err != nil {
				if !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
					t.Errorf("%v, hint %q", err, seawall.Hint(err))
				}
				return
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			s.Close()
			if after, err := Schema(t.Context(), path); err != nil || after.Version != state.Version {
				t.Errorf("the schema went from %d to %d: %v", state.Version, after.Version, err)
			}
		})
	}
}

// What we promise of the release before holds for the migrations that there are.
func TestG10_FloorLeavesTheProgramBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := Schema(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	before := schema.State{Version: s.Version, Newest: max(s.Version-1, 1), Floor: s.Floor}
	if err := before.Serves(); err != nil {
		t.Errorf("a rolling upgrade would stop: %v", err)
	}
}

func TestMigrateAppliesWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	if _, err := Schema(t.Context(), path); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("a store that is not there: %v", err)
	}
	applied, err := Migrate(t.Context(), path)
	if err != nil || int64(len(applied)) != newestLayout() || !strings.HasPrefix(applied[0], "00001_") {
		t.Errorf("applied %v, %v", applied, err)
	}
	if applied, err = Migrate(t.Context(), path); err != nil || len(applied) != 0 {
		t.Errorf("applied again %v, %v", applied, err)
	}
	if vacuum := pragma(t, path, "auto_vacuum"); vacuum != "2" {
		t.Errorf("auto_vacuum is %s: the file would never give space back", vacuum)
	}
}

func pragma(t *testing.T, path, name string) string {
	t.Helper()
	c, err := openConn(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	lines, err := c.column("PRAGMA " + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, " ")
}

// Several may try at once: all find it done.
func TestMigrateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Migrate(t.Context(), path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, err := Schema(t.Context(), path); err != nil || len(s.Pending) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}
