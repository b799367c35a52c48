package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seawall-dev/seawall/internal/store/sqlite"
)

const (
	mib = 1 << 20

	// longLog is far more than the log of a healthy store has: it is begun anew
	// at 64 MB.
	longLog = 256 * mib
)

// sqlite looks at the file, and at the disk that it is on.
func (e *examination) sqlite(ctx context.Context) {
	path := e.Node.Store.Path()
	e.disk(filepath.Dir(path))
	info, err := os.Stat(path)
	if err != nil {
		return // said already
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		e.warn("file", "chmod 600 "+path, "%s can be read by others: mode %o", path, info.Mode().Perm())
	}
	problems, err := sqlite.Check(ctx, path)
	switch {
	case err != nil:
		e.failed("integrity", err)
	case len(problems) == 0:
		e.ok("integrity", "every page, every table, every packed column: %d MiB", info.Size()/mib)
	}
	for _, p := range problems {
		e.fail("integrity", "stop the gateway, keep the file, and restore the last backup (docs/operations.md)", "%s", p)
	}
	log, err := os.Stat(path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		e.failed("log", err)
	case log.Size() > longLog:
		e.warn("log", "something reads for very long: is a backup or another program holding the file open?", "the write-ahead log has %d MiB", log.Size()/mib)
	default:
		e.ok("log", "%d MiB", log.Size()/mib)
	}
}

// disk looks at the room that is left.
func (e *examination) disk(dir string) {
	const do = "free space, or shorten retention.events: without room senders get 503"
	free, total, err := space(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported) || total == 0 && err == nil:
	case err != nil:
		e.failed("disk", err)
	case free < 64*mib || free < total/50:
		e.fail("disk", do, "%d MiB of %d MiB left", free/mib, total/mib)
	case free < total/5:
		e.warn("disk", do, "%d MiB of %d MiB left", free/mib, total/mib)
	default:
		e.ok("disk", "%d MiB of %d MiB left", free/mib, total/mib)
	}
}
