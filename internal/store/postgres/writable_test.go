package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// A server that is turned read only under its connections, as the old primary
// after a failover behind one name, is not held on to: all connections go, and
// none is made until there is one that takes writes.
func TestG1_AServerTurnedReadOnlyIsLetGo(t *testing.T) {
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	exec := func(sql string) string {
		t.Helper()
		out, err := c.Exec("postgres", sql)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	s := open(t, c.URL("postgres"), postgres.Options{Application: "node"})
	n := 0
	accept := func() error {
		n++
		_, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), fmt.Sprint(n), "{}")})
		return err
	}
	connections := func() string { return exec("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'node'") }
	if err := accept(); err != nil {
		t.Fatal(err)
	}
	if connections() == "0" {
		t.Fatal("there are no connections to lose")
	}

	exec("ALTER SYSTEM SET default_transaction_read_only = on")
	exec("SELECT pg_reload_conf()")
	await(t, "a write is refused", func() bool { return errors.Is(accept(), seawall.ErrUnavailable) })
	await(t, "no connection is left", func() bool { return connections() == "0" })
	if err := accept(); !errors.Is(err, seawall.ErrUnavailable) || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("after that a write ends with %v", err)
	}
	if _, err := s.Depths(t.Context()); err == nil {
		t.Error("a server that takes no writes was read from")
	}

	exec("ALTER SYSTEM RESET default_transaction_read_only")
	exec("SELECT pg_reload_conf()")
	await(t, "writes are taken again", func() bool { return accept() == nil })
}

// Of several hosts the one that takes writes is found, whichever comes first; if
// there is none, that is said in one line.
func TestTheServerThatTakesWritesIsFound(t *testing.T) {
	primary := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { standby.Close() })
	both, err := url.Parse(primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, hosts := range []string{standby.Addr() + "," + primary.Addr(), primary.Addr() + "," + standby.Addr()} {
		both.Host = hosts
		s := open(t, both.String(), postgres.Options{})
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", hosts, err)
		}
	}
	_, err = postgres.Open(t.Context(), standby.URL("postgres"), postgres.Options{})
	said(t, err, seawall.ErrUnavailable, "it is a standby", "name the primary")
}

func TestAWrongPasswordIsSaidInOneLine(t *testing.T) {
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true, Access: []string{"host all locked 127.0.0.1/32 scram-sha-256"}})
	if _, err := c.Exec("postgres", "CREATE ROLE locked LOGIN SUPERUSER PASSWORD 'right'"); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for password, works := range map[string]bool{"right": true, "wrong-and-secret": false} {
		at.User = url.UserPassword("locked", password)
		s, err := postgres.Open(t.Context(), at.String(), postgres.Options{})
		if works {
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			continue
		}
		said(t, err, seawall.ErrInvalid, `password authentication failed for user "locked"`, "check user and password")
		if strings.Contains(err.Error(), password) {
			t.Errorf("%v: tells the password", err)
		}
	}
}

// The version is what the server says it is: here a function of that name, before
// the one of PostgreSQL, says something else.
func TestAnOldServerIsRefusedInOneLine(t *testing.T) {
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	for _, sql := range []string{
		"CREATE SCHEMA old",
		`CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql AS $$
			SELECT CASE name WHEN 'server_version_num' THEN '130011' ELSE pg_catalog.current_setting(name) END $$`,
		"ALTER DATABASE postgres SET search_path = old, pg_catalog, public",
	} {
		if _, err := c.Exec("postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	_, err := postgres.Open(t.Context(), c.URL("postgres"), postgres.Options{})
	said(t, err, seawall.ErrInvalid, "PostgreSQL 13, and 14 is the oldest", "upgrade the server")
}
