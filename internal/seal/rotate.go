package seal

import (
	"context"
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
)

// Vault is what Rotate needs of the store.
type Vault interface {
	ListSealed(ctx context.Context) ([]store.Sealed, error)
	PutSealed(ctx context.Context, s store.Sealed) (done bool, err error)
}

// Rotate seals with the first key whatever is sealed with another. What somebody
// else renewed meanwhile is looked at again, so that after it no other key is
// needed. It returns how many it sealed anew.
func Rotate(ctx context.Context, v Vault, b *Box, now func() time.Time) (n int, err error) {
	for range 10 {
		all, err := v.ListSealed(ctx)
		if err != nil {
			return n, fmt.Errorf("sealed secrets: %w", err)
		}
		again := false
		for _, s := range all {
			if s.Key == b.Key() {
				continue
			}
			plain, err := b.Open(s.Name, s.Key, s.Data)
			if err != nil {
				return n, err
			}
			next := store.Sealed{Name: s.Name, At: now(), Version: s.Version}
			if next.Key, next.Data, err = b.Seal(s.Name, plain); err != nil {
				return n, err
			}
			done, err := v.PutSealed(ctx, next)
			if err != nil {
				return n, fmt.Errorf("seal %q: %w", s.Name, err)
			}
			if done {
				n++
			}
			again = again || !done
		}
		if !again {
			return n, nil
		}
	}
	return n, fmt.Errorf("seal: secrets keep being renewed with another key; is a node running an older configuration?")
}
