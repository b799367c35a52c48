package sqlite

import (
	"context"
	"encoding/json"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var qAddAction = newQuery("INSERT INTO action (at, by, what, target, detail) VALUES (?, ?, ?, ?, ?)")

// record writes an action; one that does not say what was done is none.
func (t *txn) record(a seawall.Action) error {
	if a.What == "" {
		return nil
	}
	detail, err := actionDetail(a)
	if err != nil {
		return err
	}
	at := a.At
	if at.IsZero() {
		at = t.s.now()
	}
	return t.use(qAddAction).int(at.UnixMicro()).text(a.By).text(a.What).word(a.On).text(detail).exec()
}

// actionDetail is an action's detail as JSON; "" if it has none.
func actionDetail(a seawall.Action) (string, error) {
	if len(a.Detail) == 0 {
		return "", nil
	}
	b, err := json.Marshal(a.Detail)
	return string(b), err
}

func (s *Store) Record(ctx context.Context, a seawall.Action) error {
	return s.write(ctx, 256, func(t *txn) error { return t.record(a) })
}

func (s *Store) ListActions(ctx context.Context, on string, p store.Page) (list store.List[seawall.Action], err error) {
	err = s.read(ctx, func(c *conn) error {
		l := &listing[seawall.Action]{kind: 'c', low: 1, high: everything, scan: scanAction}
		from, w := "action", &where{}
		if on != "" {
			from = "action INDEXED BY action_target"
			w.and("target = ?", on)
		}
		l.sql = "SELECT id, at, by, what, target, detail FROM " + from + " WHERE id BETWEEN ?1 AND ?2" + w.sql.String() +
			" ORDER BY id DESC LIMIT ?3"
		l.args = w.args
		list, err = l.page(c, p)
		return err
	})
	return list, err
}

func scanAction(st *stmt) (int64, seawall.Action, error) {
	a := seawall.Action{ID: st.getInt(), At: st.getTime(), By: st.getText(), What: st.getText(), On: st.getText()}
	if detail := st.peek(); len(detail) > 0 {
		if err := json.Unmarshal(detail, &a.Detail); err != nil {
			return 0, a, err
		}
	}
	return a.ID, a, nil
}
