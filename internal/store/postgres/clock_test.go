package postgres

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// Nodes whose clocks are an hour ahead or behind hold and respect leases like
// any other: only the database's clock counts.
func TestG4_LeasesGoByTheDatabasesClock(t *testing.T) {
	url := pgcluster.Shared(t)
	node := func(off time.Duration) *Store {
		t.Helper()
		s, err := Open(t.Context(), url, Options{Own: func() time.Time { return time.Now().Add(off) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	nodes := map[string]*Store{"right": node(0), "ahead": node(time.Hour), "behind": node(-time.Hour)}
	acquire := func(name, system string) int {
		t.Helper()
		ls, err := nodes[name].Acquire(t.Context(), name, []store.Lane{{System: system}}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return len(ls)
	}
	for owner := range nodes {
		if n := acquire(owner, owner); n != 1 {
			t.Fatalf("the node that is %s got %d leases", owner, n)
		}
		for other := range nodes {
			if other != owner && acquire(other, owner) != 0 {
				t.Errorf("the node that is %s took a lane that the one that is %s holds", other, owner)
			}
		}
	}
}

// A node whose clock is a month ahead deletes nothing that is not past its
// retention by the database's.
func TestG3_RetentionGoesByTheDatabasesClock(t *testing.T) {
	s, err := Open(t.Context(), pgcluster.Shared(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Now()
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: "1", ReceivedAt: now, Body: []byte("{}"), Revision: 1}
	accept := func() seawall.Verdict {
		t.Helper()
		out, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now.Add(30 * 24 * time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		return out[0].Verdict
	}
	accept()
	ahead := now.Add(40 * 24 * time.Hour)
	for range 10 {
		old := ahead.Add(-30 * 24 * time.Hour)
		if _, _, err = s.Expire(t.Context(), store.Expiry{Now: ahead, Events: old, Dead: old}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Event(t.Context(), e.ID); err != nil {
		t.Error(err)
	}
	again := *e
	again.ID = seawall.NewEventID(now, rand.Reader)
	if e = &again; accept() != seawall.Duplicate {
		t.Error("its key is gone")
	}
}

// Clocks that differ are said to, once, and that they agree again.
func TestG9_ClocksThatDifferAreLoggedOnce(t *testing.T) {
	var said bytes.Buffer
	s, err := Open(t.Context(), pgcluster.Shared(t), Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, off := range []time.Duration{0, time.Hour, time.Hour, 0, -time.Minute} {
		s.own = func() time.Time { return time.Now().Add(off) }
		if _, err := s.Beat(t.Context(), store.Node{Name: "n1"}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if differ, agree := strings.Count(said.String(), "differ"), strings.Count(said.String(), "agree again"); differ != 2 || agree != 1 {
		t.Errorf("said %d times that they differ, and %d that they agree again:\n%s", differ, agree, &said)
	}
}

// A node's time is the database's, to about the time of an answer, from when it
// opens the store on and whenever its own clock jumps.
func TestG2_ANodesTimeIsTheDatabases(t *testing.T) {
	url := pgcluster.Shared(t)
	off := time.Duration(0)
	own := func() time.Time { return time.Now().Add(off) }
	for _, off = range []time.Duration{0, time.Hour, -30 * 24 * time.Hour} {
		s, err := Open(t.Context(), url, Options{Own: own})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		near := func(when string) {
			t.Helper()
			if apart := time.Until(s.time()); apart.Abs() > time.Second {
				t.Errorf("%s with a clock that is %s off, its time is %s off", when, off, apart)
			}
		}
		near("opened")
		for _, jump := range []time.Duration{-time.Hour, 3 * time.Second, 0} {
			off += jump
			if _, err := s.Beat(t.Context(), store.Node{Name: "n1"}, time.Minute); err != nil {
				t.Fatal(err)
			}
			near("after a jump")
		}
	}
}

// What differs by less than matters is left alone, or every beat would move time.
func TestClocksThatAgreeAreLeftAlone(t *testing.T) {
	s, at := &Store{log: slog.New(slog.DiscardHandler)}, time.Now()
	for _, c := range []struct {
		ahead, took, want time.Duration
	}{
		{0, time.Millisecond, 0},
		{time.Second, time.Millisecond, 0},
		{-1900 * time.Millisecond, time.Millisecond, 0},
		{5 * time.Second, 9 * time.Second, 0}, // it may be the answer that was late
		{time.Minute, 2 * time.Second, time.Minute},
		{time.Minute + time.Second, time.Millisecond, time.Minute},
		{time.Second, time.Millisecond, 0},
	} {
		s.compareClock(at.Add(c.ahead), at.Add(-c.took/2), at.Add(c.took/2))
		if got := s.Ahead(); got != c.want {
			t.Errorf("ahead by %s, read within %s: taken for %s, want %s", c.ahead, c.took, got, c.want)
		}
	}
}

// What a node with a clock far behind accepts does not go to a day that others may
// be giving up: they have looked through it.
func TestG1_NothingIsWrittenToADayThatIsPast(t *testing.T) {
	s, err := Open(t.Context(), pgcluster.Shared(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Now()
	for back, own := range map[int32]bool{0: true, 1: true, 5: false} {
		day := dayAt(now) - back
		if _, err := s.pool.Exec(t.Context(), "SELECT seawall_add_day($1)", day); err != nil {
			t.Fatal(err)
		}
		if err := s.loadDays(t.Context()); err != nil {
			t.Fatal(err)
		}
		at := now.Add(-time.Duration(back) * 24 * time.Hour)
		e := &seawall.Event{ID: seawall.NewEventID(at, rand.Reader), Source: "shop", SourceID: at.String(), ReceivedAt: at, Body: []byte("{}"), Revision: 1}
		if _, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now.Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		var part int32
		if err := s.pool.QueryRow(t.Context(), "SELECT part FROM event WHERE seq = $1", e.Seq).Scan(&part); err != nil {
			t.Fatal(err)
		}
		if got := part == day; got != own || !own && part != 0 {
			t.Errorf("an event of %d days ago is in part %d; its day is %d", back, part, day)
		}
		if _, err := s.Event(t.Context(), e.ID); err != nil {
			t.Errorf("an event of %d days ago: %v", back, err)
		}
	}
}
