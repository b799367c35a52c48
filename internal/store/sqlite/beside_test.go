package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
)

func TestG1_OneProcessServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{Exclusive: true})
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{Exclusive: true})
	if !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
		t.Errorf("a second serving process: %v", err)
	}
	s.Close()
	open(t, path, sqlite.Options{Exclusive: true})
}

// A command beside the gateway, such as "seawall token create", works on the
// same file, and the gateway sees what it did.
func TestG10_ACommandWorksBesideTheGateway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	gateway := open(t, path, sqlite.Options{Exclusive: true})
	accept := func(s *sqlite.Store, id, destination string) int64 {
		t.Helper()
		a := benchAcceptance(id, time.Now(), destination, "")
		if _, err := s.Accept(t.Context(), []store.Acceptance{a}); err != nil {
			t.Fatal(err)
		}
		return a.Event.Seq
	}
	accept(gateway, "1", "orders")
	for round := range 3 {
		command := open(t, path, sqlite.Options{})
		tok := seawall.Token{Name: fmt.Sprint("ci", round), Hash: [32]byte{byte(round)}, Created: time.Now()}
		if err := command.AddToken(t.Context(), tok, seawall.Action{What: "token.create"}); err != nil {
			t.Fatal(err)
		}
		if ts, err := gateway.ListTokens(t.Context()); err != nil || len(ts) != round+1 {
			t.Errorf("the gateway sees %d tokens (%v), want %d", len(ts), err, round+1)
		}
		seq := accept(command, fmt.Sprint("command-", round), fmt.Sprint("new-", round))
		if next := accept(gateway, fmt.Sprint("gateway-", round), "orders"); next != seq+1 {
			t.Errorf("sequence number %d after %d of another process", next, seq)
		}
		command.Close()
	}
	depths, err := gateway.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pending := int64(0)
	for _, d := range depths {
		pending += d.Pending
	}
	if pending != 7 || len(depths) != 4 {
		t.Errorf("depths %+v, want 7 pending for 4 destinations", depths)
	}
	ls, err := gateway.Acquire(t.Context(), "n1", []store.Lane{{System: "new-1"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if due, _, err := gateway.Claim(t.Context(), ls[0], store.Claim{Destination: "new-1", Now: time.Now(), Limit: 1}); err != nil || len(due) != 1 {
		t.Errorf("of what the command planned, the gateway claimed %v, %v", due, err)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{Exclusive: true})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", filepath.Base(path+suffix), info.Mode())
		}
	}
	if _, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "none", "seawall.db"), sqlite.Options{}); err == nil {
		t.Error("opened in a directory that does not exist")
	}
}

func TestG4_ARestartOwnsItsLanesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{Exclusive: true})
	old, err := s.Acquire(t.Context(), "before", []store.Lane{{System: "orders"}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, path, sqlite.Options{Exclusive: true})
	fresh, err := s.Acquire(t.Context(), "after", []store.Lane{{System: "orders"}}, time.Hour)
	if err != nil || len(fresh) != 1 || fresh[0].Token <= old[0].Token {
		t.Errorf("after a restart: %+v, %v", fresh, err)
	}
	beside := open(t, path, sqlite.Options{})
	if got, err := beside.Acquire(t.Context(), "other", []store.Lane{{System: "orders"}}, time.Hour); err != nil || len(got) != 0 {
		t.Errorf("a process beside took the lane: %+v, %v", got, err)
	}
}

func TestExpireGivesSpaceBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{})
	now := time.Now()
	for i := range 20 {
		batch := make([]store.Acceptance, 100)
		for j := range batch {
			batch[j] = benchAcceptance(fmt.Sprint(i, "-", j), now, "orders", "")
			batch[j].Deliveries, batch[j].Expires = nil, now
		}
		if _, err := s.Accept(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s = open(t, path, sqlite.Options{})
	before, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for more := true; more; {
		n, again, err := s.Expire(t.Context(), store.Expiry{Now: now.Add(time.Hour), Events: now.Add(time.Minute), Dead: now})
		if err != nil {
			t.Fatal(err)
		}
		deleted, more = deleted+n, again
	}
	s.Close()
	s = open(t, path, sqlite.Options{})
	after, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if deleted != 2000 || after > before/4 {
		t.Errorf("%d deleted, from %d to %d bytes", deleted, before, after)
	}
}

func TestG8_TheLogStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{})
	for i := range 300 {
		batch := make([]store.Acceptance, 20)
		for j := range batch {
			batch[j] = benchAcceptance(fmt.Sprint(i, "-", j), time.Now(), "orders", "")
			batch[j].Event.Body = make([]byte, 32<<10)
		}
		if _, err := s.Accept(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > 112<<20 {
		t.Errorf("after 190 MB of events the log has %d bytes", size)
	}
	if n := s.Stats().Checkpoints; n < 2 {
		t.Errorf("%d checkpoints", n)
	}
}

// Somebody reads at every moment, so that no commit finds the log unread.
func TestG8_TheLogStaysBoundedWhileOthersRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s := open(t, path, sqlite.Options{})
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if _, err := s.ListEvents(ctx, store.EventFilter{Type: "none-such"}, store.Page{}); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 500 {
		batch := make([]store.Acceptance, 20)
		for j := range batch {
			batch[j] = benchAcceptance(fmt.Sprint(i, "-", j), time.Now(), "orders", "")
			batch[j].Event.Body = make([]byte, 32<<10)
		}
		if _, err := s.Accept(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	readers.Wait()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > 192<<20 {
		t.Errorf("after 320 MB of events the log has %d bytes", size)
	}
}
