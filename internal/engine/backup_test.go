package engine_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/engine"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// What docs/postgres.md says about backups works as it stands there, but for the
// host: on another server, with the documented roles and a dump, the store is as it
// was and goes on.
func TestG2_DumpAndRestoreLosesNothing(t *testing.T) {
	old, fresh := pgcluster.Start(t, pgcluster.Options{InMemory: true}), pgcluster.Start(t, pgcluster.Options{InMemory: true})
	sql := documented(t)
	run := func(c *pgcluster.Cluster, database, role string, statements ...string) {
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
	run(old, "postgres", "", sql[0]...)
	run(old, "seawall", "", sql[1]...)
	if _, err := engine.Migrate(t.Context(), as(old.URL("seawall"), "seawall_owner")); err != nil {
		t.Fatal(err)
	}
	run(old, "seawall", "seawall_owner", sql[2]...)

	serve := func(c *pgcluster.Cluster) engine.Store {
		t.Helper()
		s, err := engine.Open(t.Context(), as(c.URL("seawall"), "seawall"), engine.Options{Serve: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	now := time.Now().Truncate(time.Millisecond)
	send := func(s engine.Store, n int) (store.Accepted, int64) {
		t.Helper()
		e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: fmt.Sprint(n), ReceivedAt: now, Body: fmt.Appendf(nil, `{"n":%d}`, n)}
		d := seawall.Delivery{ID: e.ID.Delivery(1), Route: "r", Destination: "orders", System: "orders", Due: now}
		out, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{d}}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0], e.Seq
	}
	before := serve(old)
	accepted, last := map[int]seawall.EventID{}, int64(0)
	for n := range 30 {
		var out store.Accepted
		out, last = send(before, n)
		accepted[n] = out.Event
	}
	settleSome(t, before, 10)

	commands := backupCommands(t)
	for i, c := range []*pgcluster.Cluster{old, fresh} {
		args := strings.Fields(commands[i])
		for j, a := range args {
			switch {
			case strings.HasPrefix(a, "'postgres://"):
				args[j] = string(as(old.URL("seawall"), "seawall_owner"))
			case a == "--dbname=postgres":
				args[j] = "--dbname=" + fresh.URL("postgres")
			case i == 1 && a == "seawall.dump":
				args[j] = path.Join(old.Dir(), a)
			}
		}
		if i == 1 {
			for _, s := range sql[0] {
				if !strings.HasPrefix(s, "CREATE DATABASE") {
					run(c, "postgres", "", s)
				}
			}
		}
		if _, err := c.Run(args[0], args[1:]...); err != nil {
			t.Fatalf("%s: %v", commands[i], err)
		}
	}

	after := serve(fresh)
	for n, id := range accepted {
		want, err := before.Event(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := after.Event(t.Context(), id)
		if err != nil || string(got.Body) != string(want.Body) || got.Seq != want.Seq {
			t.Errorf("event %d: %+v, %v; want %+v", n, got, err, want)
		}
		ds, err := after.DeliveriesOf(t.Context(), id)
		was, wasErr := before.DeliveriesOf(t.Context(), id)
		if err != nil || wasErr != nil || len(ds) != 1 || ds[0].State != was[0].State || ds[0].Attempts != was[0].Attempts {
			t.Errorf("deliveries of event %d: %+v, %v; want %+v, %v", n, ds, err, was, wasErr)
		}
		if out, _ := send(after, n); out.Verdict != seawall.Duplicate || out.Event != id {
			t.Errorf("event %d sent again is %v of %s", n, out.Verdict, out.Event)
		}
	}
	if out, seq := send(after, 30); out.Verdict != seawall.New || seq <= last {
		t.Errorf("a new event is %v, number %d after %d", out.Verdict, seq, last)
	}
	settleSome(t, after, 21)
}

// settleSome has what waits for orders delivered, as far as wanted; there must be
// so much.
func settleSome(t *testing.T, s engine.Store, n int) {
	t.Helper()
	ls, err := s.Acquire(t.Context(), "n1", []store.Lane{{System: "orders"}}, time.Minute)
	if err != nil || len(ls) != 1 {
		t.Fatalf("the lane: %v, %v", ls, err)
	}
	defer s.Release(t.Context(), ls)
	due, _, err := s.Claim(t.Context(), ls[0], store.Claim{Destination: "orders", Now: time.Now(), Rescan: true, Limit: n})
	if err != nil || len(due) != n {
		t.Fatalf("%d of %d are due, %v", len(due), n, err)
	}
	for _, c := range due {
		out, err := s.Settle(t.Context(), []store.Settlement{{Lease: ls[0], Delivery: c.Delivery.ID, Seq: c.Event.Seq, State: seawall.Delivered,
			At: time.Now(), Attempt: &seawall.Attempt{N: 1, At: time.Now(), Node: "n1"}}})
		if err != nil || out[0] != store.Done {
			t.Fatalf("settle: %v, %v", out, err)
		}
	}
}

// backupCommands are those of docs/postgres.md: how to dump, how to restore.
func backupCommands(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/postgres.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Backup\n")
	m := regexp.MustCompile("(?s)```\n(pg_dump .*?)\n(pg_restore .*?)\n```").FindStringSubmatch(section)
	if m == nil {
		t.Fatal("no commands under Backup in docs/postgres.md")
	}
	return m[1:]
}
