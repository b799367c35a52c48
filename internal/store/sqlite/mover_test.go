package sqlite

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

// logState tells how many pages the log has, and how many of them were moved.
func logState(t *testing.T, c *conn) (length, moved int64) {
	t.Helper()
	st := c.prepare("PRAGMA wal_checkpoint(NOOP)")
	defer st.finalize()
	if st.next() {
		st.getInt()
		length, moved = st.getInt(), st.getInt()
	}
	if err := st.done(); err != nil {
		t.Fatal(err)
	}
	return length, moved
}

// What the mover moves is not synced, so the log must not be given up for it:
// it never moves the last of the log, which only a synced checkpoint may.
func TestG1_TheMoverNeverMovesTheLastOfTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	small(t, path)
	w, err := openConn(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	m, err := openMover(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.closeConns()
	write := func() {
		t.Helper()
		if err := w.exec("INSERT INTO action (at, target, detail) VALUES (1, 'x', zeroblob(100000))"); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(sync bool) {
		t.Helper()
		if err := m.pass(sync); err != nil {
			t.Fatal(err)
		}
	}
	write()
	pass(false)
	if _, moved := logState(t, w); moved != 0 {
		t.Errorf("the first pass moved %d pages, without a snapshot", moved)
	}
	for i := range 10 {
		_, before := logState(t, w)
		write()
		pass(i%3 == 0)
		length, moved := logState(t, w)
		if moved <= before || moved >= length {
			t.Fatalf("pass %d moved %d pages, then %d, of %d", i, before, moved, length)
		}
	}
	if err := m.release(); err != nil {
		t.Fatal(err)
	}
	if err := w.use(qCheckpoint).exec(); err != nil {
		t.Fatal(err)
	}
	before, moved := logState(t, w)
	if before != moved {
		t.Errorf("the writer's checkpoint moved %d of %d pages", moved, before)
	}
	write()
	if length, _ := logState(t, w); length >= before {
		t.Errorf("the log was not begun anew: %d pages, then %d", before, length)
	}
}

// Without a snapshot nothing keeps the mover from the end of the log.
func TestG1_TheMoverMovesNothingIfItsSnapshotCannotBeTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	small(t, path)
	w, err := openConn(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	m, err := openMover(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.closeConns()
	exec := func(sql string) {
		t.Helper()
		if err := w.exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE memo RENAME TO elsewhere")
	if err := m.pass(false); err == nil {
		t.Fatal("a snapshot was taken of a table that is not there")
	}
	exec("ALTER TABLE elsewhere RENAME TO memo")
	exec("INSERT INTO action (at, target, detail) VALUES (1, 'x', zeroblob(100000))")
	if err := m.pass(false); err != nil {
		t.Fatal(err)
	}
	if length, moved := logState(t, w); moved != 0 {
		t.Errorf("%d of %d pages moved, without a snapshot", moved, length)
	}
}

func TestG1_WhileCommitsGoOnOnlyTheWriterMovesTheLogWhole(t *testing.T) {
	s := openTest(t)
	probe, err := openConn(s.path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer probe.close()
	text, ever := strings.Repeat("x", 400_000), int64(0)
	for range 400 { // 160 MB, of which a log holds 64
		before := s.Stats().Checkpoints
		if err := s.Record(context.Background(), seawall.Action{What: "test", Detail: map[string]string{"text": text}}); err != nil {
			t.Fatal(err)
		}
		length, moved := logState(t, probe)
		ever = max(ever, moved)
		if moved >= length && s.Stats().Checkpoints == before {
			t.Fatalf("%d of %d pages were moved, and not by the writer", moved, length)
		}
	}
	if ever == 0 || s.Stats().Checkpoints < 1 {
		t.Errorf("%d pages moved, %d checkpoints", ever, s.Stats().Checkpoints)
	}
}
