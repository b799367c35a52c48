package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/seawall-dev/seawall/seawall"
)

var (
	qSetMemo = newQuery("INSERT INTO memo (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")
	qMemo    = newQuery("SELECT value FROM memo WHERE key = ?")
)

func (s *Store) Ping(ctx context.Context) error {
	var wrote int64
	err := s.writeAlong(ctx, 64, func(t *txn) error {
		n, err := one(t.use(qMemo).word("ping"))
		if err != nil {
			return err
		}
		wrote = n + 1
		return t.use(qSetMemo).word("ping").int(wrote).exec()
	})
	if err != nil {
		return err
	}
	return s.read(ctx, func(c *conn) error {
		read, err := one(c.use(qMemo).word("ping"))
		if err == nil && read < wrote {
			return seawall.Errorf(seawall.ErrUnavailable, "store: wrote %d, read back %d", wrote, read)
		}
		return err
	})
}

func (s *Store) Size(context.Context) (size int64, err error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}
