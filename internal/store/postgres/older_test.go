package postgres_test

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// The program before would send what is in doubt, so while one of its nodes lives
// it is held, as that program held it.
func TestG6_NothingIsInDoubtForAnOlderNode(t *testing.T) {
	url := database(t)
	s := open(t, url, postgres.Options{})
	c := connect(t, url)
	for _, older := range []bool{true, false} {
		now := time.Now()
		if _, err := s.Beat(t.Context(), store.Node{Name: "new"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		sql := "DELETE FROM node WHERE name = 'old'"
		if older {
			sql = "INSERT INTO node (name, revision, until) VALUES ('old', 1, now() + interval '1 minute')" // as it beats
		}
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		a := newEvent(now, now.String(), "{}")
		accept(t, s, a)
		l := lease(t, s, "n1")
		id := a.Deliveries[0].ID
		if begun, err := s.Begin(t.Context(), l, []seawall.DeliveryID{id}); err != nil || len(begun) != 1 {
			t.Fatalf("begun %v: %v", begun, err)
		}
		must(t, s.Release(t.Context(), []store.Lease{l})) // as if it had died long ago
		l = lease(t, s, "n2")
		d, err := s.Delivery(t.Context(), id)
		must(t, err)
		want := seawall.Pending
		if older {
			want = seawall.Held
		}
		if d.State != want || d.Reason != seawall.ReasonUnknown || (d.Step == seawall.Doubt) == older {
			t.Errorf("with an older node %v: left behind as %+v", older, d)
		}
		must(t, s.Release(t.Context(), []store.Lease{l}))
	}
}

// A transaction that only reads, as a backup's, does not make writers wait behind
// the migration: they are let through until it has gone.
func TestG10_MigrationLetsWritersThrough(t *testing.T) {
	url := database(t)
	s := open(t, url, postgres.Options{})
	c := connect(t, url)
	for _, sql := range []string{
		"DELETE FROM goose_db_version WHERE version_id = 3",
		"ALTER TABLE delivery DROP COLUMN line, DROP COLUMN awaits", "DROP TABLE position, link, alias, unresolved", "DROP INDEX delivery_timer",
	} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := c.Begin(t.Context())
	must(t, err)
	if _, err := reader.Exec(t.Context(), "SELECT count(*) FROM delivery"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() {
		_, err := postgres.Migrate(t.Context(), url)
		migrated <- err
	}()
	awaitLock(t, connect(t, url))
	now := time.Now()
	accept(t, s, newEvent(now, "1", "{}"))
	if took := time.Since(now); took > 5*time.Second {
		t.Errorf("an event waited %s for the migration", took)
	}
	select {
	case err := <-migrated:
		t.Fatalf("migrated beside the reader: %v", err)
	default:
	}
	must(t, reader.Rollback(t.Context()))
	if err := <-migrated; err != nil {
		t.Error(err)
	}
}
