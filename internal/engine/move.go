package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/transfer"
	"github.com/seawall-dev/seawall/seawall"
)

// beatFor is how long a move counts as living from its last word on.
const beatFor = 15 * time.Second

// Move moves all that one store holds into another, which is empty or was being
// moved into from the same store. Nobody may serve either of them meanwhile.
func Move(ctx context.Context, from, to config.Store, o transfer.Options) (_ transfer.Report, err error) {
	if err := Exists(from); err != nil {
		return transfer.Report{}, err
	}
	source, err := hold(ctx, "source", from)
	if err != nil {
		return transfer.Report{}, err
	}
	defer func() { err = errors.Join(err, source.release()) }()
	target, err := hold(ctx, "target", to)
	if err != nil {
		return transfer.Report{}, err
	}
	defer func() { err = errors.Join(err, target.release()) }()
	return transfer.Move(ctx, source, target, o)
}

// held is a store that nobody serves, which is looked after for as long as it is
// moved.
type held struct {
	store.Transfer
	s    Store
	what string
	node store.Node
	last time.Time // when it was last looked at
}

func hold(ctx context.Context, what string, addr config.Store) (*held, error) {
	s, err := open(ctx, addr, Options{Serve: true})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	host, _ := os.Hostname()
	h := &held{Transfer: s, s: s, what: what, node: store.Node{Name: fmt.Sprintf("%s-%d-move", host, os.Getpid())}}
	if err := h.alone(ctx); err != nil {
		return nil, errors.Join(err, h.release())
	}
	return h, nil
}

// alone makes sure that no gateway serves the store. Of an SQLite store the file
// lock says so already.
func (h *held) alone(ctx context.Context) error {
	if time.Since(h.last) < beatFor/5 {
		return nil
	}
	nodes, err := h.s.Beat(ctx, h.node, beatFor)
	if err != nil {
		return err
	}
	h.last = time.Now()
	var others []string
	for _, n := range nodes {
		if n.Name != h.node.Name {
			others = append(others, n.Name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return seawall.Errorf(seawall.ErrConflict, "the %s is being served by %s", h.what, strings.Join(others, ", ")).
		WithHint("stop every gateway on it first; of one that was killed the word stands for %s", beatFor)
}

func (h *held) Export(ctx context.Context, p store.Part, after int64, limit int) (store.Chunk, error) {
	if err := h.alone(ctx); err != nil {
		return store.Chunk{}, err
	}
	return h.Transfer.Export(ctx, p, after, limit)
}

func (h *held) Import(ctx context.Context, c store.Chunk) error {
	if err := h.alone(ctx); err != nil {
		return err
	}
	return h.Transfer.Import(ctx, c)
}

func (h *held) release() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // the move's own may have ended
	defer cancel()
	return errors.Join(h.s.Leave(ctx, h.node.Name), h.s.Close())
}
