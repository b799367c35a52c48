package sqlite

import (
	"path/filepath"
	"testing"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// buffered is a connection with a buffer before its log, which counts the writes
// that get through.
func buffered(t *testing.T) (c, beside *conn, writes *int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.db")
	c, err := openConn(path, false)
	if err == nil {
		t.Cleanup(c.close)
		err = c.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
	}
	if err == nil {
		err = c.joinWrites()
	}
	if err != nil {
		t.Fatal(err)
	}
	if beside, err = openConn(path, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(beside.close)
	writes = new(int)
	through := c.log.theirs.FxWrite
	c.log.theirs.FxWrite = hook(c.log, moveCall(func(tls *libc.TLS, file, p uintptr, n int32, at int64) int32 {
		*writes++
		return called[moveCall](through)(tls, file, p, n, at)
	}))
	return c, beside, writes
}

func scalar(t *testing.T, c *conn, sql string) int64 {
	t.Helper()
	st := c.prepare(sql)
	defer st.finalize()
	if !st.next() {
		t.Fatalf("%s: %v", sql, st.done())
	}
	return st.getInt()
}

func run(t *testing.T, c *conn, sql string) {
	t.Helper()
	if err := c.exec(sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

const thousand = "INSERT INTO t (v) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT randomblob(1000) FROM n"

func TestACommitIsFewWrites(t *testing.T) {
	c, beside, writes := buffered(t)
	run(t, c, thousand) // 250 pages and a few
	if *writes > 10 {
		t.Errorf("%d writes, want 9", *writes)
	}
	*writes = 0
	run(t, c, "DELETE FROM t WHERE id = 500")
	if *writes != 1 {
		t.Errorf("%d writes for a small commit, want 1", *writes)
	}
	if n := scalar(t, beside, "SELECT count(*) FROM t"); n != 999 {
		t.Errorf("another connection sees %d rows, want 999", n)
	}
}

// A transaction larger than the page cache writes to the log before it commits,
// reads back from there, writes over it, and may be taken back.
func TestG1_WhatIsGatheredIsReadBackAndTakenBack(t *testing.T) {
	c, beside, _ := buffered(t)
	run(t, c, "PRAGMA cache_size = 10")
	run(t, c, thousand)
	for _, end := range []string{"ROLLBACK", "COMMIT", "ROLLBACK", "COMMIT"} {
		before := scalar(t, c, "SELECT total(length(v)) FROM t")
		run(t, c, "BEGIN IMMEDIATE")
		run(t, c, "UPDATE t SET v = randomblob(length(v) + 1)")
		run(t, c, "UPDATE t SET v = randomblob(length(v) + 1)")
		if now := scalar(t, c, "SELECT total(length(v)) FROM t"); now != before+2000 {
			t.Fatalf("%d bytes within the transaction, want %d", now, before+2000)
		}
		if now := scalar(t, beside, "SELECT total(length(v)) FROM t"); now != before {
			t.Fatalf("another connection sees %d bytes before the commit, want %d", now, before)
		}
		run(t, c, end)
		want := before
		if end == "COMMIT" {
			want += 2000
		}
		for _, c := range []*conn{c, beside} {
			if now := scalar(t, c, "SELECT total(length(v)) FROM t"); now != want {
				t.Errorf("%d bytes after %s, want %d", now, end, want)
			}
		}
	}
	if n := scalar(t, beside, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"); n != 1 {
		t.Error("the file is damaged")
	}
}

// A write that fails fails the commit that it was for, and no other.
func TestG1_AWriteOfTheLogThatFailsFailsItsCommit(t *testing.T) {
	c, beside, _ := buffered(t)
	good := c.log.theirs.FxWrite
	c.log.theirs.FxWrite = hook(c.log, moveCall(func(*libc.TLS, uintptr, uintptr, int32, int64) int32 { return lib.SQLITE_FULL }))
	if err := c.exec(thousand); !full(err) {
		t.Errorf("a commit without room: %v", err)
	}
	c.log.theirs.FxWrite = good
	run(t, c, "INSERT INTO t (v) VALUES ('x')")
	if n := scalar(t, beside, "SELECT count(*) FROM t"); n != 1 {
		t.Errorf("%d rows, want the one", n)
	}
}
