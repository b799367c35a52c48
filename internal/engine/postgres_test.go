package engine_test

import (
	"crypto/rand"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// documented are the blocks of SQL in docs/postgres.md, statement by statement.
func documented(t *testing.T) (blocks [][]string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/postgres.md")
	if err != nil {
		t.Fatal(err)
	}
	_, roles, _ := strings.Cut(string(page), "\n## Two roles\n")
	roles, _, _ = strings.Cut(roles, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(roles, -1) {
		var statements []string
		for _, s := range strings.Split(m[1], ";\n") {
			if s = strings.TrimSpace(s); s != "" {
				statements = append(statements, s)
			}
		}
		blocks = append(blocks, statements)
	}
	return blocks
}

// as is the URL for another role.
func as(url, role string) config.Store {
	_, rest, _ := strings.Cut(url, "@")
	return config.Store("postgres://" + role + "@" + rest)
}

// The roles that the documentation makes can do what they are for, and no more.
func TestLeastPrivilege(t *testing.T) {
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	run := func(database, role string, statements []string) {
		t.Helper()
		for _, s := range statements {
			if role != "" {
				s = "SET ROLE " + role + "; " + s
			}
			if _, err := c.Exec(database, s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	sql := documented(t)
	if len(sql) != 3 {
		t.Fatalf("%d blocks of SQL about roles in docs/postgres.md, want 3", len(sql))
	}
	run("postgres", "", sql[0])
	run("seawall", "", sql[1])
	url := c.URL("seawall")

	// Before its owner has made the tables nobody serves from them.
	_, err := engine.Open(t.Context(), as(url, "seawall"), engine.Options{Serve: true})
	if !errors.Is(err, seawall.ErrInvalid) || !strings.Contains(seawall.Hint(err), "seawall migrate up") {
		t.Errorf("without tables: %v, hint %q", err, seawall.Hint(err))
	}
	applied, err := engine.Migrate(t.Context(), as(url, "seawall_owner"))
	if err != nil || len(applied) == 0 {
		t.Fatalf("applied %v, %v", applied, err)
	}
	run("seawall", "seawall_owner", sql[2])

	s, err := engine.Open(t.Context(), as(url, "seawall"), engine.Options{Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: "1", ReceivedAt: now, Body: []byte("{}")}
	d := seawall.Delivery{ID: e.ID.Delivery(1), Route: "r", Destination: "orders", System: "orders", Due: now}
	out, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{d}}})
	if err != nil || out[0].Verdict != seawall.New {
		t.Fatalf("accept: %v, %v", out, err)
	}
	if _, _, err := s.Expire(t.Context(), store.Expiry{Now: now, Events: now.Add(-30 * 24 * time.Hour), Dead: now.Add(-90 * 24 * time.Hour)}); err != nil {
		t.Errorf("retention: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for _, forbidden := range []string{"CREATE TABLE mine (x integer)", "DROP TABLE gate", "ALTER TABLE event ADD x integer", "TRUNCATE event"} {
		if _, err := c.Exec("seawall", "SET ROLE seawall; "+forbidden); err == nil {
			t.Errorf("the serving role may %s", forbidden)
		}
	}
	if _, err := engine.Schema(t.Context(), as(url, "seawall")); err != nil {
		t.Errorf("the serving role cannot see the schema: %v", err)
	}
}

// What a person meets says what to do, and shows no password.
func TestConnectionErrors(t *testing.T) {
	url := database(t)
	_, rest, _ := strings.Cut(url, "@")
	host, _, _ := strings.Cut(rest, "/")
	unsafe := pgcluster.Start(t, pgcluster.Options{NoSync: true, InMemory: true})
	for _, c := range []struct {
		name string
		addr string
		kind error
		says string
		hint string
	}{
		{"nobody listens", "postgres://u:canary@127.0.0.1:1/d", seawall.ErrUnavailable, "127.0.0.1:1", "host and port"},
		{"no such role", "postgres://nobody:canary@" + rest, seawall.ErrInvalid, "nobody", "user and password"},
		{"no such database", "postgres://postgres:canary@" + host + "/nothing?sslmode=disable", seawall.ErrInvalid, "nothing", "createdb"},
		{"fsync is off", unsafe.URL("postgres"), seawall.ErrInvalid, "fsync = off", "fsync = on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := engine.Open(t.Context(), config.Store(c.addr), engine.Options{Serve: true})
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(seawall.Hint(err), c.hint) {
				t.Errorf("%v, hint %q", err, seawall.Hint(err))
			}
			if err != nil && strings.Contains(err.Error()+seawall.Hint(err), "canary") {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// Nodes that start at once migrate once.
func TestMigrateAtOnce(t *testing.T) {
	addr := config.Store(pgcluster.Shared(t))
	if s, err := engine.Schema(t.Context(), addr); err != nil || s.Version != 0 || len(s.Pending) == 0 {
		t.Errorf("an empty database: %+v, %v", s, err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 4 {
		wg.Go(func() {
			names, err := engine.Migrate(t.Context(), addr)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			applied += len(names)
			mu.Unlock()
		})
	}
	wg.Wait()
	s, err := engine.Schema(t.Context(), addr)
	if err != nil || len(s.Pending) != 0 || int64(applied) != s.Version || s.Serves() != nil {
		t.Errorf("%d applied: %+v, %v", applied, s, err)
	}
}

// A schema that is too new is refused; one that is newer by one is served.
func TestG10_PostgresServesTheSchemaAfter(t *testing.T) {
	addr := config.Store(database(t))
	s, err := engine.Schema(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	for by, ok := range map[int64]bool{1: true, 2: false} {
		url := database(t)
		add(t, url, s.Newest+by)
		st, err := engine.Open(t.Context(), config.Store(url), engine.Options{})
		if (err == nil) != ok || err != nil && !errors.Is(err, seawall.ErrConflict) {
			t.Errorf("newer by %d: %v", by, err)
		}
		if err == nil {
			st.Close()
		}
	}
}

// add notes a migration of a later version.
func add(t *testing.T, url string, version int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)", version); err != nil {
		t.Fatal(err)
	}
}
