package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var errNotYet = errors.New("not in this version")

func (s *Store) Ripen(context.Context, store.Lease, string, time.Time, int) (store.Ripened, error) {
	return store.Ripened{}, nil
}
func (s *Store) Positions(context.Context, string) ([]store.Position, error) { return nil, nil }
func (s *Store) ListEntities(context.Context, store.EntityFilter, store.Page) (l store.List[store.EntityState], err error) {
	return l, nil
}
func (s *Store) Skip(context.Context, []seawall.DeliveryID, seawall.Action) ([]seawall.DeliveryID, error) {
	return nil, errNotYet
}
