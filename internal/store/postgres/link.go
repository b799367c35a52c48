package postgres

import (
	"context"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) LinksOf(context.Context, string) ([]seawall.Link, error)          { return nil, nil }
func (s *Store) EntityOf(context.Context, string, string, string) (string, error) { return "", nil }
func (s *Store) ListLinks(context.Context, store.LinkFilter, store.Page) (l store.List[seawall.Link], err error) {
	return l, nil
}
func (s *Store) PutLinks(context.Context, []seawall.Link, seawall.Action) error   { return errNotYet }
func (s *Store) Unlink(context.Context, string, string, seawall.Action) error     { return errNotYet }
func (s *Store) Merge(context.Context, string, string, seawall.Action) error      { return errNotYet }
func (s *Store) Aliases(context.Context, int64) (map[string]string, int64, error) { return nil, 0, nil }
func (s *Store) Resolvable(context.Context, time.Time, int) ([]store.Resolvable, error) {
	return nil, nil
}
func (s *Store) Resolve(context.Context, *seawall.Event, []seawall.Delivery) (bool, error) {
	return false, errNotYet
}
