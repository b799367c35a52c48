package sqlite

import (
	"context"
	"errors"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const flagFallback = 1

var (
	qAddAnswer = newQuery(`INSERT INTO answer (delivery, at, status, flags, headers, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
		SET at = excluded.at, status = excluded.status, flags = excluded.flags, headers = excluded.headers, body = excluded.body`)
	qAnswer = newQuery("SELECT at, status, flags, headers, body FROM answer WHERE delivery = ?")
)

func (t *txn) addAnswer(key int64, a *seawall.Answer, headers []byte) error {
	flags := int64(0)
	if a.Fallback {
		flags = flagFallback
	}
	return t.use(qAddAnswer).int(key).int(a.At.UnixMicro()).int(int64(a.Status)).int(flags).blob(headers).blob(a.Body).exec()
}

func (s *Store) Answers(ctx context.Context, ids []seawall.DeliveryID) (as map[seawall.DeliveryID]*seawall.Answer, err error) {
	err = s.read(ctx, func(c *conn) error {
		as = map[seawall.DeliveryID]*seawall.Answer{}
		for _, id := range ids {
			key, err := c.deliveryKey(id)
			if errors.Is(err, seawall.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			a, err := c.answer(key)
			if err != nil {
				return err
			}
			if a != nil {
				as[id] = a
			}
		}
		return nil
	})
	return as, err
}

// answer reads that of a delivery; nil if there is none.
func (c *conn) answer(key int64) (*seawall.Answer, error) {
	st := c.use(qAnswer).int(key)
	defer st.done()
	if !st.next() {
		return nil, st.done()
	}
	a := &seawall.Answer{At: st.getTime(), Status: int(st.getInt()), Fallback: st.getInt()&flagFallback != 0}
	var err error
	if a.Headers, err = pack.ParseHeaders(st.peek()); err != nil {
		return nil, err
	}
	a.Body = st.getBlob()
	return a, st.done()
}
