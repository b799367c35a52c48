package sqlite

import (
	"path/filepath"
	"testing"

	"modernc.org/libc"
)

// What pages take lies outside Go's bound, which leaves room for so much and no more.
func TestG8_PagesOfAllConnectionsStayWithinTheirBound(t *testing.T) {
	for _, mib := range []int64{8, 12, 64, 1 << 10} { // limits.memory is eight times that
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "s.db"), Options{Cache: mib << 20})
		if err != nil {
			t.Fatal(err)
		}
		conns := []*conn{s.writer.conn, s.writer.mover.c, s.writer.mover.keeper}
		for range s.opened {
			r := <-s.readers
			defer func() { s.readers <- r }()
			conns = append(conns, r)
		}
		page := takes(t, conns[0], int(scalar(t, conns[0], "PRAGMA page_size")))
		var sum, least int64
		for _, c := range conns {
			kib := -scalar(t, c, "PRAGMA cache_size")
			sum += kib / 4 * page
			if least == 0 || kib < least {
				least = kib
			}
		}
		if sum > mib<<20 {
			t.Errorf("%d KiB of pages within %d MiB", sum>>10, mib)
		}
		if least < 64 {
			t.Errorf("within %d MiB a connection keeps %d KiB", mib, least)
		}
		if w, r := -scalar(t, conns[0], "PRAGMA cache_size"), -scalar(t, conns[3], "PRAGMA cache_size"); mib == 64 && (w != 8192 || r != 4096) {
			t.Errorf("by default the writer keeps %d KiB and a reader %d, want 8192 and 4096", w, r)
		}
	}
}

// takes is the memory that a page in a cache takes, with SQLite's header of it.
func takes(t *testing.T, c *conn, page int) int64 {
	t.Helper()
	p := libc.Xmalloc(c.tls, libc.Tsize_t(page+128))
	if p == 0 {
		t.Fatal("no memory")
	}
	defer libc.Xfree(c.tls, p)
	return int64(libc.Xmalloc_usable_size(c.tls, p))
}
