package postgres

import (
	"context"
	"crypto/sha256"
)

// acceptCall is one call of Accept.
type acceptCall struct{}

func (s *Store) flushAccepts(_ context.Context, calls []*acceptCall) []error {
	return make([]error, len(calls))
}

// longestID is the longest source event id that is a key as it stands.
const longestID = 48

// dedupeKey is the source event id itself: most senders number their events by
// time in some way, and neighbours in time then share pages of the index. A long
// one is hashed, to half a SHA-256: too long for anybody to find two that share
// one, which would make an event of his vanish as another's duplicate.
func dedupeKey(id string) []byte {
	if len(id) <= longestID {
		return append(append(make([]byte, 0, len(id)+1), 0), id...)
	}
	sum := sha256.Sum256([]byte(id))
	return append([]byte{1}, sum[:16]...)
}
