package sqlite

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	qGates   = newQuery("SELECT destination, gate, reason, by, at FROM gate ORDER BY destination")
	qSetGate = newQuery(`INSERT INTO gate (destination, gate, reason, by, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
		SET gate = excluded.gate, reason = excluded.reason, by = excluded.by, at = excluded.at`)
)

func (s *Store) Gates(ctx context.Context) (gs []store.GateState, err error) {
	err = s.read(ctx, func(c *conn) error {
		gs, err = c.gates()
		return err
	})
	return gs, err
}

func (c *conn) gates() (gs []store.GateState, err error) {
	st := c.use(qGates)
	for st.next() {
		gs = append(gs, store.GateState{Destination: st.getText(), Gate: seawall.Gate(st.getInt()),
			Reason: st.getText(), By: st.getText(), At: st.getTime()})
	}
	return gs, st.done()
}

func (s *Store) SetGate(ctx context.Context, g store.GateState, a seawall.Action) error {
	return s.write(ctx, 256, func(t *txn) error {
		if err := t.setGate(g); err != nil {
			return err
		}
		return t.record(a)
	})
}

func (t *txn) setGate(g store.GateState) error {
	return t.use(qSetGate).word(g.Destination).int(int64(g.Gate)).text(g.Reason).text(g.By).int(g.At.UnixMicro()).exec()
}

// disable closes the gate of the destination that a settlement speaks for.
func (t *txn) disable(in *settlement, queue int64) error {
	return t.setGate(store.GateState{Destination: t.linesByID[queue].destination, Gate: seawall.Disabled,
		Reason: in.Disable, By: "destination", At: in.At})
}
