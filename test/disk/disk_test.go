package disk

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A record as strace writes it: two threads, a call in two parts, a failed one,
// and every kind of escape.
const record = `7 1800000000.000001 pwrite64(3</d/s.db-wal>, "\0\1\n\"\\\177a\0008", 9, 0) = 9
7 1800000000.000002 fdatasync(3</d/s.db-wal> <unfinished ...>
8 1800000000.000003 pwrite64(4</d/s.db>, "late", 4, 2) = 4
8 1800000000.000004 write(9<socket:[1]>, "HTTP/1.1 200 OK\r\n\r\n{\"events\":[\"evt_early\"]}\n", 45) = 45
7 1800000000.000005 <... fdatasync resumed>) = 0
8 1800000000.000006 write(9<socket:[1]>, "HTTP/1.1 200 OK\r\n\r\n{\"events\":[\"evt_a\",\"evt_b\"]}\n", 49) = 49
8 1800000000.000007 write(9<socket:[1]>, "HTTP/1.1 503 Service Unavailable\r\n\r\n", 36) = 36
8 1800000000.000008 write(2</d/s.out>, "x", 1) = 1
7 1800000000.000009 pwrite64(3</d/s.db-wal>, "XY", 2, 4) = 2
7 1800000000.000010 fdatasync(3</d/s.db-wal>) = -1 EIO (Input/output error) (INJECTED)
7 1800000000.000011 fdatasync(3</d/s.db-wal>) = 0
8 1800000000.000012 pwrite64(4</d/s.db-shm>, "index", 5, 0) = 5
8 1800000000.000013 fdatasync(4</d/s.db>) = 0
8 1800000000.000014 ftruncate(4</d/s.db>, 1) = 0
8 1800000000.000015 +++ killed by SIGKILL +++
`

func read(t *testing.T, text string) *Trace {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	trace, err := Read(file, "/d/s.db")
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// cutNow returns the files' contents after a cut.
func cutNow(t *testing.T, m *Image, loss Loss) (log, file string) {
	t.Helper()
	dir := t.TempDir()
	if err := m.Cut(dir, loss, rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(b)
	}
	return text("s.db-wal"), text("s.db")
}

func TestWhatIsSyncedIsThere(t *testing.T) {
	const whole = "\x00\x01\n\"\\\x7fa\x008"
	m := NewImage(read(t, record))
	tests := []struct {
		sync      string
		acked     []string
		log, file string // with the unsynced dropped
		kept      string // the log, with the unsynced kept
	}{
		{"/d/s.db-wal", []string{"evt_early"}, "", "", whole},
		{"/d/s.db-wal", []string{"evt_early", "evt_a", "evt_b"}, whole, "", whole[:4] + "XY" + whole[6:]},
		{"/d/s.db-wal", []string{"evt_early", "evt_a", "evt_b"}, whole, "", whole[:4] + "XY" + whole[6:]},
		// The sync that failed is made good by no later one.
		{"/d/s.db", []string{"evt_early", "evt_a", "evt_b"}, whole, "", whole[:4] + "XY" + whole[6:]},
	}
	for i, tt := range tests {
		op, ok := m.ToSync()
		if !ok || op.Path != tt.sync || !slices.Equal(m.Acked(), tt.acked) {
			t.Fatalf("sync %d: %v, %v, acknowledged %v", i, op, ok, m.Acked())
		}
		if log, file := cutNow(t, m, Dropped); log != tt.log || file != tt.file {
			t.Errorf("sync %d, dropped: log %q, file %q", i, log, file)
		}
		if log, _ := cutNow(t, m, Kept); log != tt.kept {
			t.Errorf("sync %d, kept: log %q", i, log)
		}
	}
	if _, ok := m.ToSync(); ok {
		t.Error("one sync too many")
	}
	if _, file := cutNow(t, m, Dropped); file != "\x00\x00late" {
		t.Errorf("at the end the file is %q", file)
	}
	if _, file := cutNow(t, m, Kept); file != "\x00" {
		t.Errorf("at the end, truncated, the file is %q", file)
	}
}

// What is torn is made of what was written and what was there before, in blocks.
func TestWhatIsNotSyncedIsTorn(t *testing.T) {
	page := strings.Repeat("n", 8192)
	m := NewImage(read(t, `7 1.000001 pwrite64(3</d/s.db-wal>, "`+strings.Repeat("o", 8192)+`", 8192, 0) = 8192
7 1.000002 fdatasync(3</d/s.db-wal>) = 0
7 1.000003 pwrite64(3</d/s.db-wal>, "`+page+`", 8192, 0) = 8192
7 1.000004 fdatasync(3</d/s.db-wal>) = 0
`))
	m.ToSync()
	m.ToSync()
	r := rand.New(rand.NewPCG(3, 3))
	for loss, block := range map[Loss]int{Sectors: 512, Pages: 4096} {
		mixed := 0
		for range 50 {
			dir := t.TempDir()
			if err := m.Cut(dir, loss, r); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "s.db-wal"))
			if err != nil || len(got) != 8192 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			for at := 0; at < len(got); at += block {
				b := got[at : at+block]
				if n := bytes.Count(b, []byte("n")); n != 0 && n != block {
					t.Fatalf("%s: block at %d has %d of %d new bytes", loss, at, n, block)
				}
			}
			if n := bytes.Count(got, []byte("n")); n > 0 && n < 8192 {
				mixed++
			}
		}
		if mixed == 0 {
			t.Errorf("%s: never torn", loss)
		}
	}
}

func TestRecordsThatAreNotUnderstoodAreRefused(t *testing.T) {
	for name, line := range map[string]string{
		"shortened": `7 1.000001 pwrite64(3</d/s.db>, "abc"..., 4096, 0) = 4096`,
		"no offset": `7 1.000001 write(3</d/s.db>, "abc", 3) = 3`,
		"renamed":   `7 1.000001 rename("/d/s.db-wal", "/d/other") = 0`,
	} {
		file := filepath.Join(t.TempDir(), "trace")
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file, "/d/s.db"); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
