package sqlite

import (
	"bytes"
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const revisionColumns = "number, at, by, text"

var (
	qAddRevision = newQuery("INSERT INTO revision (at, by, text) VALUES (?, ?, ?)")
	qRevision    = newQuery("SELECT " + revisionColumns + " FROM revision WHERE number = ?")
	qLatest      = newQuery("SELECT " + revisionColumns + " FROM revision ORDER BY number DESC LIMIT 1")
)

func scanRevision(st *stmt) (int64, seawall.Revision, error) {
	r := seawall.Revision{Number: st.getInt(), At: st.getTime(), By: st.getText(), Text: st.getBlob()}
	return r.Number, r, nil
}

// revision runs a statement that selects one revision; nil if there is none.
func revision(st *stmt) (*seawall.Revision, error) {
	if !st.next() {
		return nil, st.done()
	}
	_, r, _ := scanRevision(st)
	return &r, st.done()
}

func (s *Store) AddRevision(ctx context.Context, at time.Time, by string, text []byte) (out seawall.Revision, err error) {
	err = s.write(ctx, len(text)+64, func(t *txn) error {
		latest, err := revision(t.use(qLatest))
		if err != nil {
			return err
		}
		if latest != nil && bytes.Equal(latest.Text, text) {
			out = *latest
			return nil
		}
		if err := t.use(qAddRevision).int(at.UnixMicro()).text(by).blob(text).exec(); err != nil {
			return err
		}
		out = seawall.Revision{Number: t.lastID(), At: time.UnixMicro(at.UnixMicro()).UTC(), By: by, Text: bytes.Clone(text)}
		return nil
	})
	return out, err
}

func (s *Store) Revision(ctx context.Context, number int64) (r *seawall.Revision, err error) {
	err = s.read(ctx, func(c *conn) error {
		if r, err = revision(c.use(qRevision).int(number)); err == nil && r == nil {
			return seawall.Errorf(seawall.ErrNotFound, "no configuration revision %d", number)
		}
		return err
	})
	return r, err
}

func (s *Store) Latest(ctx context.Context) (r *seawall.Revision, err error) {
	err = s.read(ctx, func(c *conn) error {
		if r, err = revision(c.use(qLatest)); err == nil && r == nil {
			return seawall.Errorf(seawall.ErrNotFound, "no configuration was accepted yet")
		}
		return err
	})
	return r, err
}

func (s *Store) ListRevisions(ctx context.Context, p store.Page) (list store.List[seawall.Revision], err error) {
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Revision]{kind: 'r', low: 1, high: everything, scan: scanRevision,
			sql: "SELECT " + revisionColumns + " FROM revision WHERE number BETWEEN ?1 AND ?2 ORDER BY number DESC LIMIT ?3"}
		list, err = l.page(c, p)
		return err
	})
	return list, err
}
