package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// qBeginAny has the fence of a settlement. qBegin leaves out the heads behind which
	// others wait, which may come before them: qFollowed finds those.
	qBeginAny = `WITH fence AS MATERIALIZED (
	SELECT id FROM lane WHERE id = $1 AND node = $2 AND token = $3 FOR SHARE
)
UPDATE delivery d SET state = 2 FROM queue q
WHERE d.id = ANY($4) AND d.state = 0 AND q.id = d.queue AND q.lane = $1 AND EXISTS (SELECT FROM fence)`

	qBegin = qBeginAny + " AND (" + followed + ") IS NOT TRUE" + beginReturns

	qFollowed = "SELECT d.id FROM delivery d WHERE d.id = ANY($1) AND d.state = 0 AND (" + followed + ") ORDER BY d.id"

	// At its fallback a delivery keeps its turn.
	followed     = "d.origin IS NULL AND (SELECT p.head = d.id AND p.waiting > 0 FROM position p WHERE p.id = d.line)"
	beginReturns = " RETURNING d.event, d.id"
)

func (s *Store) Begin(ctx context.Context, l store.Lease, ids []seawall.DeliveryID) ([]seawall.DeliveryID, error) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	lane, err := s.names.findLane(ctx, l.Lane)
	if err != nil || lane == 0 || len(ids) == 0 {
		return nil, judge(err)
	}
	keys, err := s.keysOf(ctx, ids)
	if err != nil {
		return nil, judge(err)
	}
	begun, err := begunRows(s.pool.Query(ctx, qBegin, lane, l.Node, l.Token, keys))
	if err != nil || len(begun) == len(keys) {
		return begun, judge(err)
	}
	followed, err := numbers(s.pool.Query(ctx, qFollowed, keys))
	if err != nil || len(followed) == 0 {
		return begun, judge(err)
	}
	var more []seawall.DeliveryID
	err = s.change(ctx, func(tx pgx.Tx) error {
		more, err = s.beginFollowed(ctx, tx, lane, l, followed)
		return err
	})
	return append(begun, more...), err
}

// beginFollowed begins heads behind which others wait, unless they have to yield: what
// came while they were due and could not be tried may come before them.
func (s *Store) beginFollowed(ctx context.Context, tx pgx.Tx, lane int32, l store.Lease, keys []int64) (begun []seawall.DeliveryID, err error) {
	ps := s.within(tx).positions()
	p := pick{keys: keys}
	if err := ps.send(ctx, ps.lock(p)); err != nil {
		return nil, err
	}
	var stands bool
	err = tx.QueryRow(ctx, qStands, lane, l.Node, l.Token).Scan(&stands)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []member
	if err := ps.send(ctx, request{qMembers, ints(keys), members(&found)}, ps.heads(p)); err != nil {
		return nil, err
	}
	for i := range found {
		m := &found[i]
		if at := ps.byID[m.line]; at != nil && m.State == seawall.Pending {
			ps.yield(m, at.Standing)
		}
	}
	if err := ps.proceed(ctx); err != nil {
		return nil, err
	}
	if err := ps.send(ctx, ps.write()...); err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(slices.Clone(keys), func(key int64) bool {
		return slices.ContainsFunc(found, func(m member) bool {
			at := ps.byID[m.line]
			return m.Key == key && at != nil && m.Order != seawall.Unordered && at.Head.Key != key
		})
	})
	return begunRows(tx.Query(ctx, qBeginAny+beginReturns, lane, l.Node, l.Token, keys))
}

func begunRows(rows pgx.Rows, err error) ([]seawall.DeliveryID, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (seawall.DeliveryID, error) {
		var event [16]byte
		var key int64
		err := row.Scan(&event, &key)
		return seawall.EventID(event).Delivery(keyN(key)), err
	})
}
