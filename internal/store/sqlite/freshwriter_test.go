package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// serving opens a store as the process that serves, with a lane.
func serving(t *testing.T, path string) (*Store, store.Lease) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ls, err := s.Acquire(t.Context(), "n", []store.Lane{{System: "shop"}}, time.Minute)
	if err != nil || len(ls) != 1 {
		t.Fatalf("acquired %v, %v", ls, err)
	}
	return s, ls[0]
}

// accepted accepts n events of one delivery each.
func accepted(t *testing.T, s *Store, n int) (batch []store.Acceptance) {
	t.Helper()
	now := time.Now()
	for range n {
		e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "app", ReceivedAt: now}
		e.SourceID = e.ID.String()
		batch = append(batch, store.Acceptance{Event: e, Expires: now.Add(time.Hour),
			Deliveries: []seawall.Delivery{{Route: "r", Destination: "a", System: "shop"}}})
	}
	if _, err := s.Accept(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return batch
}

func delivered(t *testing.T, s *Store, l store.Lease, batch []store.Acceptance) {
	t.Helper()
	ss := make([]store.Settlement, len(batch))
	for i, a := range batch {
		ss[i] = store.Settlement{Lease: l, Delivery: a.Deliveries[0].ID, Seq: a.Event.Seq, State: seawall.Delivered, At: time.Now(), Attempt: &seawall.Attempt{}}
	}
	done, err := s.Settle(t.Context(), ss)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		if d != store.Done {
			t.Fatalf("settled: %v", done)
		}
	}
}

func rowsOf(t *testing.T, s *Store, table string) (n int64) {
	t.Helper()
	err := s.read(t.Context(), func(c *conn) (err error) {
		st := c.prepare("SELECT count(*) FROM " + table)
		defer st.finalize()
		n, err = one(st)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What it is all for: a delivery that ends at once is never in the hot table.
func TestADeliveryThatEndsAtOnceHasOneRow(t *testing.T) {
	s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, s, 10)
	if n := rowsOf(t, s, "unfinished"); n != 0 || s.fresh.of(everyQueue) != 10 {
		t.Errorf("%d rows and %d fresh deliveries, want none and 10", n, s.fresh.of(everyQueue))
	}
	delivered(t, s, l, batch)
	if n := rowsOf(t, s, "finished"); n != 10 || s.fresh.of(everyQueue) != 0 {
		t.Errorf("%d rows and %d fresh deliveries, want 10 and none", n, s.fresh.of(everyQueue))
	}
}

// A group that is rolled back for one of its calls leaves the writer's memory as the
// file: each call that runs again finds what it found first.
func TestG1_RolledBackWritesLeaveFreshDeliveries(t *testing.T) {
	s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, s, 3)
	release := hold(t, s)
	wrong := errors.New("half-way")
	calls := []func(){
		func() { delivered(t, s, l, batch[:1]) },
		func() { accepted(t, s, 2) },
		func() {
			err := s.writeAlong(t.Context(), 0, func(t *txn) error {
				t.addFresh(deliveryKey(1<<30, 1), fresh{queue: 1})
				return errors.Join(t.setMark(1<<40), wrong)
			})
			if !errors.Is(err, wrong) {
				t.Errorf("the write came back as %v", err)
			}
		},
		func() { delivered(t, s, l, batch[1:2]) },
	}
	done := make(chan struct{}, len(calls))
	for i, call := range calls {
		go func() {
			defer func() { done <- struct{}{} }() // also of one that fails
			call()
		}()
		waiting(s, i+1)
	}
	release()
	for range calls {
		<-done
	}
	if n := s.fresh.of(everyQueue) + int(rowsOf(t, s, "unfinished")); n != 3 || rowsOf(t, s, "finished") != 2 {
		t.Errorf("%d have not ended and %d have, want 3 and 2", n, rowsOf(t, s, "finished"))
	}
	delivered(t, s, l, batch[2:])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.writer.fresh.rows); n != 0 {
		t.Errorf("%d deliveries are fresh of events that are not there", n)
	}
	s, _ = serving(t, s.path)
	if n, f := rowsOf(t, s, "unfinished"), rowsOf(t, s, "finished"); n != 2 || f != 3 {
		t.Errorf("%d have not ended and %d have, want 2 and 3", n, f)
	}
}

// What is looked through after a crash is bounded, whatever is stuck.
func TestG2_FreshDeliveriesAreFew(t *testing.T) {
	s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	mark := func() (mark int64) {
		err := s.read(t.Context(), func(c *conn) (err error) { mark, err = one(c.use(qMemo).word(memoFresh)); return err })
		if err != nil {
			t.Fatal(err)
		}
		return mark
	}
	first, stuck := accepted(t, s, markStep), accepted(t, s, 1)
	delivered(t, s, l, first)
	for range 3 {
		delivered(t, s, l, accepted(t, s, 300))
	}
	if m := mark(); s.fresh.of(everyQueue) != 1 || m < 1 || m >= stuck[0].Event.Seq {
		t.Errorf("event %d has a fresh delivery, and the mark is at %d", stuck[0].Event.Seq, m)
	}
	for range 9 {
		delivered(t, s, l, accepted(t, s, 300))
	}
	if s.fresh.of(everyQueue) != 0 || rowsOf(t, s, "unfinished") != 1 {
		t.Errorf("after 3,900 events %s has no row", stuck[0].Deliveries[0].ID)
	}
	for range 12 {
		accepted(t, s, 300)
	}
	if n := s.fresh.of(everyQueue); n > freshSpan+300 {
		t.Errorf("%d deliveries are fresh", n)
	}
	if m, last := mark(), s.writer.seq; last-m > freshSpan+markStep+600 {
		t.Errorf("the mark is at %d of %d", m, last)
	}
}

// Whoever looks sees what came just now.
func TestFreshDeliveriesAreSeen(t *testing.T) {
	for name, look := range map[string]func(t *testing.T, s *Store, l store.Lease, id seawall.DeliveryID) bool{
		"claim": func(t *testing.T, s *Store, l store.Lease, id seawall.DeliveryID) bool {
			cs, _, err := s.Claim(t.Context(), l, store.Claim{Destination: "a", Now: time.Now().Add(time.Second), Limit: 10})
			return err == nil && len(cs) == 1 && cs[0].Delivery.ID == id
		},
		"begin": func(t *testing.T, s *Store, l store.Lease, id seawall.DeliveryID) bool {
			ids, err := s.Begin(t.Context(), l, []seawall.DeliveryID{id})
			return err == nil && len(ids) == 1
		},
		"one": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			d, err := s.Delivery(t.Context(), id)
			return err == nil && d.ID == id && d.State == seawall.Pending
		},
		"of an event": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			ds, err := s.DeliveriesOf(t.Context(), id.Event())
			return err == nil && len(ds) == 1 && ds[0].ID == id
		},
		"list": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			ds, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{}, store.Page{Limit: 10})
			return err == nil && len(ds.Items) == 1 && ds.Items[0].ID == id
		},
		"depths": func(t *testing.T, s *Store, _ store.Lease, _ seawall.DeliveryID) bool {
			ds, err := s.Depths(t.Context())
			return err == nil && len(ds) == 1 && ds[0].Pending == 1 && !ds[0].OldestDue.IsZero()
		},
		"export": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			c, err := s.Export(t.Context(), store.PartEvents, 0, 10)
			return err == nil && len(c.Events) == 1 && len(c.Events[0].Deliveries) == 1
		},
		"cancel": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			ids, err := s.Cancel(t.Context(), []seawall.DeliveryID{id}, "", seawall.Action{What: "cancel", On: id.String()})
			return err == nil && len(ids) == 1
		},
		"another process": func(t *testing.T, s *Store, _ store.Lease, id seawall.DeliveryID) bool {
			other, err := Open(t.Context(), s.path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if err := other.Ping(t.Context()); err != nil { // it wrote: the gateway reads all anew
				t.Fatal(err)
			}
			accepted(t, s, 1)
			ds, err := s.Depths(t.Context())
			return err == nil && len(ds) == 1 && ds[0].Pending == 2
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
			id := accepted(t, s, 1)[0].Deliveries[0].ID
			if s.fresh.of(everyQueue) != 1 {
				t.Fatal("it is not fresh")
			}
			if !look(t, s, l, id) {
				t.Error("it is not seen")
			}
		})
	}
}

// Where the store cannot write, what has a row is still to be seen.
func TestReadsWorkWhereNothingCanBeShown(t *testing.T) {
	s, _ := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	accepted(t, s, 1)
	if _, err := s.Depths(t.Context()); err != nil { // this one has a row now
		t.Fatal(err)
	}
	accepted(t, s, 1)
	s.poison(errors.New("the disk is gone"))
	ds, err := s.ListDeliveries(context.Background(), store.DeliveryFilter{}, store.Page{Limit: 10})
	if err != nil || len(ds.Items) != 1 {
		t.Errorf("got %v, %v", ds.Items, err)
	}
}

// A store that was closed says all of its deliveries in the hot table, to programs too
// that know nothing of fresh ones.
func TestAClosedStoreHasEveryRow(t *testing.T) {
	s, _ := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	accepted(t, s, 5)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := Open(t.Context(), s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if n := rowsOf(t, other, "unfinished"); n != 5 {
		t.Errorf("%d rows, want 5", n)
	}
}

// A process beside the gateway knows nothing of what is fresh: it leaves the mark.
func TestG1_AProcessBesideLeavesFreshDeliveries(t *testing.T) {
	s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, s, markStep+50)
	delivered(t, s, l, batch[1:])
	other, err := Open(t.Context(), s.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 3 {
		if err := other.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mark := markOf(t, other)
	if s.fresh.of(everyQueue) != 1 || mark >= batch[0].Event.Seq {
		t.Errorf("%d are fresh, of event %d on, and the mark is at %d", s.fresh.of(everyQueue), batch[0].Event.Seq, mark)
	}
}

// Who serves from a moved store, or from one of before, does not look through all of it.
func TestNothingIsFreshInAStoreOfOthersMaking(t *testing.T) {
	moved, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, moved, 3)
	delivered(t, moved, l, batch)
	if err := moved.Finish(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if mark := markOf(t, moved); mark != batch[2].Event.Seq {
		t.Errorf("the mark of a moved store is at %d, not at %d", mark, batch[2].Event.Seq)
	}

	path := filepath.Join(t.TempDir(), "seawall.db")
	before, err := fs.Glob(migrations, "0000[123]_*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, name := range before {
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	files["00004_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + `INSERT INTO event (seq, uid, source, received, flags, routing, revision, depth,
		type, entity, version, source_id, plan, request, body) VALUES (42, x'00', 1, 0, 0, 0, 0, 0, '', '', '', '', x'', x'', x'');`)}
	text, err := fs.ReadFile(migrations, "00004_fresh.sql")
	if err != nil {
		t.Fatal(err)
	}
	files["00005_fresh.sql"] = &fstest.MapFile{Data: text}
	if _, err := migrate(t.Context(), path, files); err != nil {
		t.Fatal(err)
	}
	old, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if mark := markOf(t, old); mark != 42 {
		t.Errorf("the mark of a store of before is at %d, not at 42", mark)
	}
}

// markOf is the mark as it is written.
func markOf(t *testing.T, s *Store) (mark int64) {
	t.Helper()
	if err := s.read(t.Context(), func(c *conn) (err error) { mark, err = one(c.use(qMemo).word(memoFresh)); return err }); err != nil {
		t.Fatal(err)
	}
	return mark
}

// A row that is there already, as only a damaged store has it, harms its own delivery
// alone.
func TestG7_ARowInTheWayStopsNobody(t *testing.T) {
	s, l := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, s, 2)
	err := s.writeAlong(t.Context(), 0, func(t *txn) error {
		return t.use(qMakeRow).int(deliveryKey(batch[0].Event.Seq, 1)).int(1).int(1).int(1).int(0).int(0).text("").exec()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write(t.Context(), 0, func(*txn) error { return nil }); err != nil { // all get rows
		t.Errorf("the writer stopped: %v", err)
	}
	delivered(t, s, l, batch[1:])
}

// An event of which cannot be read what it says harms its own deliveries alone, and is
// named.
func TestG7_ADamagedSayingStopsNobody(t *testing.T) {
	s, _ := serving(t, filepath.Join(t.TempDir(), "seawall.db"))
	batch := accepted(t, s, 3)
	err := s.writeAlong(t.Context(), 0, func(t *txn) error {
		// As a crash would leave it: no row, and the process is gone.
		return errors.Join(t.exec("UPDATE event SET fresh = x'0101' WHERE seq = 2"), t.exec("UPDATE event SET fresh = x'0101630100' WHERE seq = 3"))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.poison(errors.New("nothing more is written"))
	s.Close()
	var said strings.Builder
	s, err = Open(t.Context(), s.path, Options{Exclusive: true, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := rowsOf(t, s, "unfinished"); n != 1 {
		t.Errorf("%d rows, want that of the first", n)
	}
	for i, a := range batch {
		if got := strings.Contains(said.String(), a.Event.ID.String()); got != (i > 0) {
			t.Errorf("event %d named: %v, in %s", i+1, got, said.String())
		}
	}
}
