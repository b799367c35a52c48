package access

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Store is where tokens are kept.
type Store interface {
	ListTokens(ctx context.Context) ([]seawall.Token, error)
}

// cacheFor is how long a token may still be used after another process deleted it.
const cacheFor = time.Second

// missAfter is how old what is known may be for a token that is not in it: one
// that was made a moment ago is not to be turned away.
const missAfter = 100 * time.Millisecond

// Book knows the store's tokens by their hash. Looking a hash up takes a time
// that tells nothing about the secret.
type Book struct {
	Store Store

	mu     sync.Mutex
	at     time.Time
	byHash map[[32]byte]seawall.Token
}

// Find looks a secret up. some tells whether there is any token at all, expired
// ones too: that the last one has expired does not open the door again.
func (b *Book) Find(ctx context.Context, secret string, now time.Time) (t *seawall.Token, some bool, err error) {
	known, err := b.known(ctx, now, cacheFor)
	if err != nil {
		return nil, false, err
	}
	found, ok := known[hash(secret)]
	if !ok && strings.HasPrefix(secret, Prefix) {
		if known, err = b.known(ctx, now, missAfter); err != nil {
			return nil, false, err
		}
		found, ok = known[hash(secret)]
	}
	if !ok || !found.Expires.IsZero() && !now.Before(found.Expires) {
		return nil, len(known) > 0, nil
	}
	return &found, true, nil
}

func (b *Book) known(ctx context.Context, now time.Time, within time.Duration) (map[[32]byte]seawall.Token, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if age := now.Sub(b.at); b.byHash != nil && age >= 0 && age < within {
		return b.byHash, nil
	}
	list, err := b.Store.ListTokens(ctx)
	if err != nil {
		return nil, err
	}
	b.byHash = make(map[[32]byte]seawall.Token, len(list))
	for _, token := range list {
		b.byHash[token.Hash] = token
	}
	b.at = now
	return b.byHash, nil
}

// Changed makes the next request read the tokens anew.
func (b *Book) Changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.byHash = nil
}
