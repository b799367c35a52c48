package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"

	"github.com/seawall-dev/seawall/seawall"
)

const (
	// backupStep is how many pages are copied between two looks at the context.
	backupStep = 256
	// backupSync is after how many the copy is synced, so that the end is not one
	// sync of everything, which the commits of the gateway would wait for.
	backupSync = 32 * backupStep
)

// Backup copies the store at path to a new file, while another process or this
// one may serve it, without holding up its writes. The copy is the store as it
// was at one moment after the call: everything acknowledged before is in it. It
// appears under its name whole, synced and checked, or not at all; a file that is
// there already is never overwritten (seawall.ErrConflict).
//
// Meanwhile the gateway's log cannot be begun anew, so it grows by what is
// written.
func Backup(ctx context.Context, path, to string) error {
	if err := backup(ctx, path, to); err != nil {
		return fmt.Errorf("back up store %s: %w", path, err)
	}
	return nil
}

func backup(ctx context.Context, path, to string) error {
	if err := exists(path); err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return taken(to)
	}
	part := to + "." + strings.ToLower(rand.Text()[:8]) + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	defer func() {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			os.Remove(part + suffix)
		}
	}()
	if err := copyPages(ctx, path, part, f); err != nil {
		return err
	}
	problems, err := check(ctx, part)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return seawall.Errorf(seawall.ErrUnavailable, "the copy is damaged, and so perhaps the store: %s", problems[0]).
			WithHint("seawall doctor looks through the store itself")
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return place(part, to)
}

func exists(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seawall.Errorf(seawall.ErrNotFound, "there is no store at %s", path)
	}
	return err
}

func taken(to string) error {
	return seawall.Errorf(seawall.ErrConflict, "%s exists already, and is left as it is", to).
		WithHint("name a file that does not exist yet")
}

// copyPages copies one snapshot of the store at path into the empty file at to,
// which f is as well.
func copyPages(ctx context.Context, path, to string, f *os.File) error {
	src, err := openConn(path, true)
	if err != nil {
		return err
	}
	defer src.close()
	if _, err := src.layout(); err != nil {
		return err
	}
	// A transaction of ours keeps the snapshot over all steps: without it each
	// commit of the gateway would have the copy begin again.
	if err := src.exec("BEGIN; SELECT count(*) FROM memo"); err != nil {
		return err
	}
	dst, err := dial(to)
	if err != nil {
		return err
	}
	defer dst.close()
	// Until it is whole and has its name, nobody needs the copy to survive
	// anything.
	if err := dst.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2048"); err != nil {
		return err
	}
	name, err := libc.CString("main")
	if err != nil {
		return err
	}
	defer libc.Xfree(src.tls, name)
	b := lib.Xsqlite3_backup_init(dst.tls, dst.db, name, src.db, name)
	if b == 0 {
		return dst.err(lib.Xsqlite3_errcode(dst.tls, dst.db))
	}
	rc := int32(lib.SQLITE_OK)
	for n := 0; rc == lib.SQLITE_OK && ctx.Err() == nil; n += backupStep {
		rc = lib.Xsqlite3_backup_step(dst.tls, b, backupStep)
		if n%backupSync == 0 && rc == lib.SQLITE_OK {
			if err = f.Sync(); err != nil {
				break
			}
		}
	}
	end := lib.Xsqlite3_backup_finish(dst.tls, b)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case rc != lib.SQLITE_DONE:
		return dst.err(rc)
	case end != lib.SQLITE_OK:
		return dst.err(end)
	}
	return nil
}

// place gives a finished file its name, which must be free, and makes that
// durable.
func place(part, to string) error {
	// A link never replaces what is there, as renaming would.
	err := os.Link(part, to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return taken(to)
	case err != nil: // a file system without links
		if _, err := os.Lstat(to); err == nil {
			return taken(to)
		}
		if err := os.Rename(part, to); err != nil {
			return err
		}
	}
	os.Remove(part)
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
