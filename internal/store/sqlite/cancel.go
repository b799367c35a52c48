package sqlite

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Cancel(ctx context.Context, ids []seawall.DeliveryID, reason string, a seawall.Action) (ended []seawall.DeliveryID, err error) {
	err = s.write(ctx, 128*len(ids), func(t *txn) error {
		ended = nil
		at := a.At
		if at.IsZero() {
			at = s.now()
		}
		for _, id := range ids {
			key, ok, err := t.keyOf(id)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if ok, err = t.cancel(key, reason, at); err != nil {
				return err
			}
			if !ok {
				continue
			}
			ended = append(ended, id)
		}
		return t.record(a)
	})
	return ended, err
}

// cancel ends a delivery that has not ended.
func (t *txn) cancel(key int64, reason string, at time.Time) (bool, error) {
	now, found, err := t.standing(qUnfinishedNow, key)
	if err != nil || !found {
		return false, err
	}
	in := &settlement{Settlement: &store.Settlement{State: seawall.Canceled, Reason: reason, At: at}}
	if err := t.finish(in, key, now); err != nil {
		return false, err
	}
	t.moved(now.queue, now.state, -1)
	t.moved(now.queue, seawall.Canceled, 1)
	if now.lined() {
		_, err = t.leave(key, &now, seawall.Canceled, nil, time.Time{})
	}
	return true, err
}
