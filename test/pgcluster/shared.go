package pgcluster

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// shared is the one cluster of a test binary, made when it is first needed.
var shared = sync.OnceValues(func() (*Cluster, error) {
	if given := os.Getenv("SEAWALL_TEST_PG"); given != "" {
		return foreign(given)
	}
	return New(Options{InMemory: true})
})

var (
	made     atomic.Int64
	prepared sync.Map // name → func() (template string, err error)
)

// foreign is a server that somebody else runs.
func foreign(given string) (*Cluster, error) {
	if _, err := url.Parse(given); err != nil {
		return nil, fmt.Errorf("SEAWALL_TEST_PG: %w", err)
	}
	p, err := findPrograms()
	return &Cluster{programs: p, given: given}, err
}

// Main runs the tests of a package that uses Shared, and ends the cluster. Call
// it in TestMain; without it the cluster dies with the process, and its data is
// removed by the next one.
func Main(m *testing.M) int {
	code := m.Run()
	if made.Load() > 0 {
		if c, err := shared(); err == nil {
			c.Close()
		}
	}
	return code
}

// Shared returns the URL of a fresh, empty database, for this test alone, on
// the one cluster of this test binary, or on the server that $SEAWALL_TEST_PG
// names. Without any PostgreSQL the test fails: to skip it would prove nothing.
func Shared(t testing.TB) string {
	t.Helper()
	return fresh(t, "")
}

// SharedCopy is Shared with a schema: prepare makes it once for each name, and
// every test gets a copy.
func SharedCopy(t testing.TB, name string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	once, _ := prepared.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		c, err := shared()
		if err != nil {
			return "", err
		}
		template := newName()
		if err := c.CreateDatabase(template, ""); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return template, prepare(ctx, c.URL(template))
	}))
	template, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return fresh(t, template)
}

func newName() string { return fmt.Sprintf("seawall_test_%d_%d", os.Getpid(), made.Add(1)) }

func fresh(t testing.TB, template string) string {
	t.Helper()
	name := newName()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CreateDatabase(name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.DropDatabase(name); err != nil {
			t.Error(err)
		}
	})
	return c.URL(name)
}
