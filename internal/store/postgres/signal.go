package postgres

import (
	"context"

	"github.com/seawall-dev/seawall/internal/store"
)

type signals struct{}

func (s *Store) Tell(store.Signal) {}

func (s *Store) Listen(ctx context.Context, _ func(store.Signal)) error {
	<-ctx.Done()
	return nil
}
