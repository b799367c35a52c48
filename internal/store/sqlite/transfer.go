package sqlite

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var _ store.Transfer = (*Store)(nil)

// Memos of what the store is, and of how far it is a copy of another.
const (
	memoID     = "id"
	memoOrigin = "origin"
	memoDone   = "copied"
	memoDigest = "digest"
	memoMark   = "mark:" // and the part
)

// exportBytes bounds the bodies of one chunk.
const exportBytes = 4 << 20

var (
	qAddMemo = newQuery("INSERT INTO memo (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
	qMemos   = newQuery("SELECT key, value FROM memo")
	qHolds   = newQuery(`SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM arrival) OR EXISTS (SELECT 1 FROM action)
		OR EXISTS (SELECT 1 FROM revision) OR EXISTS (SELECT 1 FROM token) OR EXISTS (SELECT 1 FROM gate)
		OR EXISTS (SELECT 1 FROM sealed) OR EXISTS (SELECT 1 FROM link) OR EXISTS (SELECT 1 FROM alias) OR EXISTS (SELECT 1 FROM position)`)
)

func (s *Store) Identity(ctx context.Context) (i store.Identity, err error) {
	if err = s.read(ctx, func(c *conn) error { i, err = c.identity(); return err }); err != nil || i.ID != 0 {
		return i, err
	}
	err = s.write(ctx, 64, func(t *txn) error {
		var b [8]byte
		rand.Read(b[:])
		if err := t.use(qAddMemo).word(memoID).int(int64(binary.BigEndian.Uint64(b[:])>>1 | 1)).exec(); err != nil {
			return err
		}
		i, err = t.identity()
		return err
	})
	return i, err
}

func (c *conn) identity() (store.Identity, error) {
	i := store.Identity{Marks: map[store.Part]int64{}}
	memos := map[string]int64{}
	st := c.use(qMemos)
	for st.next() {
		key := st.getText()
		memos[key] = st.getInt()
	}
	if err := st.done(); err != nil {
		return i, err
	}
	i.ID, i.Origin, i.Done, i.Digest = memos[memoID], memos[memoOrigin], memos[memoDone] != 0, memos[memoDigest]
	for _, p := range store.Parts {
		i.Marks[p] = memos[memoMark+string(p)]
	}
	holds, err := one(c.use(qHolds))
	i.Empty = holds == 0
	return i, err
}

func (s *Store) Adopt(ctx context.Context, origin int64) error {
	return s.write(ctx, 64, func(t *txn) error {
		i, err := t.identity()
		switch {
		case err != nil:
			return err
		case i.Origin == origin && !i.Done:
			return nil
		case i.Origin != 0 || !i.Empty:
			return seawall.Errorf(seawall.ErrConflict, "the target holds something of its own, or of another store").
				WithHint("name a store that does not exist yet, or an empty database")
		}
		return t.use(qSetMemo).word(memoOrigin).int(origin).exec()
	})
}

func (s *Store) Finish(ctx context.Context, digest int64) error {
	return s.write(ctx, 64, func(t *txn) error {
		if err := t.use(qSetMemo).word(memoDigest).int(digest).exec(); err != nil {
			return err
		}
		if err := t.use(qSetMemo).word(memoDone).int(1).exec(); err != nil {
			return err
		}
		// Or who serves from it first would look among all events for what is fresh.
		seq, err := one(t.use(qLastSeq))
		if err != nil {
			return err
		}
		return t.setMark(seq)
	})
}
