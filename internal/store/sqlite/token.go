package sqlite

import (
	"context"
	"encoding/json"

	"github.com/seawall-dev/seawall/seawall"
)

var (
	qAddToken    = newQuery("INSERT INTO token (name, hash, scopes, created, expires) VALUES (?, ?, ?, ?, ?)")
	qDeleteToken = newQuery("DELETE FROM token WHERE name = ?")
	qTokens      = newQuery("SELECT name, hash, scopes, created, expires FROM token ORDER BY name")
)

func (s *Store) AddToken(ctx context.Context, tok seawall.Token, a seawall.Action) error {
	return s.write(ctx, 256, func(t *txn) error {
		err := t.addToken(tok)
		if constraint(err) {
			return seawall.Errorf(seawall.ErrConflict, "there is a token named %q already", tok.Name)
		}
		if err != nil {
			return err
		}
		return t.record(a)
	})
}

func (t *txn) addToken(tok seawall.Token) error {
	scopes, err := json.Marshal(tok.Scopes)
	if err != nil {
		return err
	}
	return t.use(qAddToken).word(tok.Name).blob(tok.Hash[:]).text(string(scopes)).
		int(tok.Created.UnixMicro()).time(tok.Expires).exec()
}

func (s *Store) DeleteToken(ctx context.Context, name string, a seawall.Action) error {
	return s.write(ctx, 256, func(t *txn) error {
		if err := t.use(qDeleteToken).word(name).exec(); err != nil {
			return err
		}
		if t.changes() == 0 {
			return seawall.Errorf(seawall.ErrNotFound, "no token named %q", name)
		}
		return t.record(a)
	})
}

func (s *Store) ListTokens(ctx context.Context) (ts []seawall.Token, err error) {
	err = s.read(ctx, func(c *conn) error {
		ts, err = c.tokens()
		return err
	})
	return ts, err
}

func (c *conn) tokens() (ts []seawall.Token, err error) {
	st := c.use(qTokens)
	defer st.done()
	for st.next() {
		tok := seawall.Token{Name: st.getText()}
		copy(tok.Hash[:], st.peek())
		if err := json.Unmarshal(st.peek(), &tok.Scopes); err != nil {
			return nil, err
		}
		tok.Created, tok.Expires = st.getTime(), st.getTime()
		ts = append(ts, tok)
	}
	return ts, st.done()
}
