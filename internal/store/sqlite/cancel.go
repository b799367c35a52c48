package sqlite

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) Cancel(ctx context.Context, ids []seawall.DeliveryID, reason string, a seawall.Action) ([]seawall.DeliveryID, error) {
	return s.end(ctx, ids, a, func(t *txn, key int64, at time.Time) (bool, error) { return t.cancel(key, reason, at) })
}

func (s *Store) Skip(ctx context.Context, ids []seawall.DeliveryID, a seawall.Action) ([]seawall.DeliveryID, error) {
	return s.end(ctx, ids, a, func(t *txn, key int64, at time.Time) (bool, error) {
		if ok, err := t.cancel(key, seawall.ReasonSkipped, at); ok || err != nil {
			return ok, err
		}
		return t.skipDead(key, at)
	})
}

// end has those ended that a person names, and returns those that one did.
func (s *Store) end(ctx context.Context, ids []seawall.DeliveryID, a seawall.Action, one func(t *txn, key int64, at time.Time) (bool, error)) (ended []seawall.DeliveryID, err error) {
	err = s.write(ctx, 128*len(ids), func(t *txn) error {
		ended = nil
		at := a.At
		if at.IsZero() {
			at = s.now()
		}
		for _, id := range ids {
			key, ok, err := t.keyOf(id)
			if err == nil && ok {
				ok, err = one(t, key, at)
			}
			if err != nil {
				return err
			}
			if ok {
				ended = append(ended, id)
			}
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

var qSkipDead = newQuery("UPDATE finished SET state = 6, reason = '" + seawall.ReasonSkipped + "', finished = ? WHERE id = ? AND state = 4")

// skipDead has its line go on without a dead letter.
func (t *txn) skipDead(key int64, at time.Time) (bool, error) {
	now, found, err := t.standing(qFinishedNow, key)
	if err != nil || !found || now.state != seawall.Dead {
		return false, err
	}
	if err := t.use(qSkipDead).int(at.UnixMicro()).int(key).exec(); err != nil {
		return false, err
	}
	t.moved(now.queue, seawall.Dead, -1)
	t.moved(now.queue, seawall.Canceled, 1)
	_, err = t.leave(key, &now, seawall.Canceled, nil, time.Time{})
	return true, err
}
