package sqlite

import (
	"bytes"
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const sealedColumns = "SELECT name, key, data, at, version FROM sealed"

var (
	qAllSealed = newQuery(sealedColumns + " ORDER BY name")
	qSealed    = newQuery(sealedColumns + " WHERE name = ?")
	qPutSealed = newQuery(`INSERT INTO sealed (name, key, data, at, version) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
		SET key = excluded.key, data = excluded.data, at = excluded.at, version = excluded.version`)

	qHolder  = newQuery("SELECT node, until FROM hold WHERE name = ?")
	qSetHold = newQuery("INSERT INTO hold (name, node, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET node = excluded.node, until = excluded.until")
	qUnhold  = newQuery("DELETE FROM hold WHERE name = ? AND node = ?")
)

func scanSealed(st *stmt) store.Sealed {
	return store.Sealed{Name: st.getText(), Key: st.getText(), Data: st.getBlob(), At: st.getTime(), Version: st.getInt()}
}

// sealed reads a secret; Version 0 if there is none.
func (c *conn) sealed(name string) (out store.Sealed, err error) {
	st := c.use(qSealed).word(name)
	if st.next() {
		out = scanSealed(st)
	}
	return out, st.done()
}

func (c *conn) allSealed() (out []store.Sealed, err error) {
	st := c.use(qAllSealed)
	for st.next() {
		out = append(out, scanSealed(st))
	}
	return out, st.done()
}

func (s *Store) Sealed(ctx context.Context, name string) (*store.Sealed, error) {
	var out store.Sealed
	err := s.read(ctx, func(c *conn) (err error) {
		out, err = c.sealed(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	if out.Version == 0 {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no secret %q is kept", name)
	}
	return &out, nil
}

func (s *Store) ListSealed(ctx context.Context) (out []store.Sealed, err error) {
	err = s.read(ctx, func(c *conn) error {
		out, err = c.allSealed()
		return err
	})
	return out, err
}

func (s *Store) PutSealed(ctx context.Context, in store.Sealed) (done bool, err error) {
	err = s.write(ctx, len(in.Data)+128, func(t *txn) error {
		done = false
		have, err := t.sealed(in.Name)
		if err != nil {
			return err
		}
		if have.Version != in.Version {
			done = have.Version == in.Version+1 && have.Key == in.Key && bytes.Equal(have.Data, in.Data)
			return nil
		}
		to := in
		to.Version++
		if err := t.putSealed(to); err != nil {
			return err
		}
		done = true
		return nil
	})
	return done && err == nil, err
}

func (t *txn) putSealed(v store.Sealed) error {
	return t.use(qPutSealed).word(v.Name).word(v.Key).blob(v.Data).int(v.At.UnixMicro()).int(v.Version).exec()
}

func (s *Store) Hold(ctx context.Context, name, node string, ttl time.Duration) (held bool, err error) {
	err = s.write(ctx, 64, func(t *txn) error {
		held = false
		if ttl <= 0 {
			return t.use(qUnhold).word(name).word(node).exec()
		}
		now := s.now()
		st := t.use(qHolder).word(name)
		taken := st.next() && st.getText() != node && st.getTime().After(now)
		if err := st.done(); err != nil || taken {
			return err
		}
		if err := t.use(qSetHold).word(name).word(node).int(now.Add(ttl).UnixMicro()).exec(); err != nil {
			return err
		}
		held = true
		return nil
	})
	return held && err == nil, err
}
