package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func openTest(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "seawall.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hold keeps the writer busy until the returned function is called.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	running, done := make(chan struct{}), make(chan struct{})
	go s.writeAlong(context.Background(), 0, func(*txn) error {
		close(running)
		<-done
		return nil
	})
	<-running
	return func() { close(done) }
}

// waiting reads Stats until n calls wait; each of the calls is on its way.
func waiting(s *Store, n int) {
	for s.Stats().Waiting < n {
	}
}

func TestG1_AFailingWriteLeavesItsNeighbours(t *testing.T) {
	s := openTest(t)
	memo := func(key string) func(*txn) error {
		return func(t *txn) error { return t.use(qSetMemo).word(key).int(1).exec() }
	}
	half := errors.New("half-way")
	ops := []func(*txn) error{
		memo("a"),
		func(t *txn) error { return errors.Join(memo("lost")(t), half) },
		memo("b"),
		func(*txn) error { return seawall.ErrNotFound },
		func(*txn) error { panic("boom") },
		memo("c"),
	}
	release := hold(t, s)
	errs := make([]chan error, len(ops))
	for i, op := range ops {
		errs[i] = make(chan error, 1)
		go func() { errs[i] <- s.write(context.Background(), 0, op) }()
		waiting(s, i+1)
	}
	release()
	for i, c := range errs {
		err := <-c
		switch want := []error{nil, half, nil, seawall.ErrNotFound, nil, nil}[i]; {
		case i == 4:
			if err == nil || !strings.Contains(err.Error(), "boom") {
				t.Errorf("the panic came back as %v", err)
			}
		case !errors.Is(err, want):
			t.Errorf("write %d: got %v, want %v", i, err, want)
		}
	}
	err := s.read(t.Context(), func(c *conn) error {
		for key, want := range map[string]int64{"a": 1, "b": 1, "c": 1, "lost": 0} {
			if got, err := one(c.use(qMemo).word(key)); err != nil || got != want {
				t.Errorf("memo %s is %d, want %d (%v)", key, got, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestG8_WhatMayWaitIsBounded(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	nothing := func(*txn) error { return nil }
	for _, size := range []int{maxWaitBytes / 2, maxWaitBytes / 2} {
		go s.write(context.Background(), size, nothing)
	}
	waiting(s, 2)
	if err := s.write(t.Context(), 1, nothing); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("beyond the bytes that may wait: %v", err)
	}
	for range maxWaiting - 2 {
		go s.write(context.Background(), 0, nothing)
	}
	waiting(s, maxWaiting)
	if err := s.write(t.Context(), 0, nothing); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("beyond the calls that may wait: %v", err)
	}
	release()
	for s.Stats().Waiting > 0 {
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("once there is room again: %v", err)
	}
}

func TestG8_ACanceledWaitIsSkipped(t *testing.T) {
	s := openTest(t)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ran, answer := false, make(chan error, 1)
	go func() { answer <- s.write(ctx, 0, func(*txn) error { ran = true; return nil }) }()
	waiting(s, 1)
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ran {
		t.Error("it was written although its caller was told otherwise")
	}
}

func TestG1_CloseWritesWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	answer := make(chan error, 1)
	go func() { answer <- s.Record(context.Background(), seawall.Action{What: "last"}) }()
	waiting(s, 1)
	go release()
	s.Close()
	if err := <-answer; err != nil {
		t.Errorf("got %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("a write after Close: %v", err)
	}
	if _, err := s.ListTokens(t.Context()); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("a read after Close: %v", err)
	}
}

// What the path runs must find its rows by an index: a scan of a table that
// grows with the backlog or the history would make each event dearer.
func TestG7_NoStatementScansWhatGrows(t *testing.T) {
	s := openTest(t)
	small := []string{"name", "queue", "lane", "gate", "token", "revision", "memo", "system", "rate", "sealed", "sqlite_sequence"}
	counts := []*query{qKinds, qTrimAll, qDeadOf, qHolds, qAliases} // at start, over a bounded table, of one event, up to the first row, after a merge
	for _, q := range countQueries {
		counts = append(counts, q)
	}
	err := s.read(t.Context(), func(c *conn) error {
		for _, q := range queries {
			if slices.Contains(counts, q) || !strings.Contains(q.sql, " ") || strings.HasPrefix(q.sql, "PRAGMA") {
				continue
			}
			st := c.prepare("EXPLAIN QUERY PLAN " + q.sql)
			for st.next() {
				st.getInt()
				st.getInt()
				st.getInt()
				detail := st.getText()
				table, scans := strings.CutPrefix(detail, "SCAN ")
				ordered := strings.Contains(q.sql, "max(") || strings.Contains(q.sql, "LIMIT")
				if scans && table != "CONSTANT ROW" && !slices.Contains(small, strings.Fields(table)[0]) && !ordered {
					t.Errorf("%s\n  %s", q.sql, detail)
				}
				if strings.Contains(detail, "TEMP B-TREE") && q != qDeliveries && q != qAttempts {
					t.Errorf("%s\n  %s", q.sql, detail)
				}
			}
			if err := st.done(); err != nil {
				return fmt.Errorf("%s: %w", q.sql, err)
			}
			st.finalize()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Where each of a batch runs on its own, a disk that fails one must fail the
// rest as well.
func TestG1_AfterAFailedSyncTheRestOfTheBatchIsNotAcked(t *testing.T) {
	s := openTest(t)
	ops := []func(*txn) error{
		func(t *txn) error {
			return errors.Join(t.use(qSetMemo).word("half").int(1).exec(), errors.New("half-way"))
		},
		func(*txn) error { return &sqlError{code: lib.SQLITE_IOERR_FSYNC, msg: "test"} },
		func(t *txn) error { return t.use(qSetMemo).word("after").int(1).exec() },
	}
	release := hold(t, s)
	errs := make([]chan error, len(ops))
	for i, op := range ops {
		errs[i] = make(chan error, 1)
		go func() { errs[i] <- s.write(context.Background(), 0, op) }()
		waiting(s, i+1)
	}
	release()
	<-errs[0]
	for i, c := range errs[1:] {
		if err := <-c; !errors.Is(err, seawall.ErrUnavailable) {
			t.Errorf("write %d, from the failed sync on: %v", i+1, err)
		}
	}
}

func TestExpireGoesOnAfterOneThatFailed(t *testing.T) {
	s := openTest(t)
	now := time.Now()
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: "1", ReceivedAt: now}
	d := seawall.Delivery{Route: "r", Destination: "a", System: "a", State: seawall.Canceled}
	if _, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now, Deliveries: []seawall.Delivery{d}}}); err != nil {
		t.Fatal(err)
	}
	schema := func(sql string) {
		t.Helper()
		if err := s.write(t.Context(), 0, func(t *txn) error { return t.exec(sql) }); err != nil {
			t.Fatal(err)
		}
	}
	expire := func() (int, error) {
		n, _, err := s.Expire(t.Context(), store.Expiry{Now: now.Add(2 * time.Hour), Events: now.Add(time.Hour), Dead: now})
		return n, err
	}
	schema("CREATE TRIGGER stuck BEFORE DELETE ON finished BEGIN SELECT RAISE(ABORT, 'stuck'); END")
	if _, err := expire(); err == nil {
		t.Fatal("it did not fail")
	}
	schema("DROP TRIGGER stuck")
	if n, err := expire(); n != 1 || err != nil {
		t.Errorf("%d deleted after that: %v", n, err)
	}
}
