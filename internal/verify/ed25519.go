package verify

import (
	"crypto/ed25519"
	"time"
)

// Ed25519 checks that one of the signatures (RFC 8032) is over content under
// one of the public keys, and returns which key.
func Ed25519(keys []Key, now time.Time, signatures [][]byte, content []byte) (int, error) {
	return Match(keys, now, func(key []byte) bool {
		if len(key) != ed25519.PublicKeySize {
			return false
		}
		for _, s := range signatures {
			if len(s) == ed25519.SignatureSize && ed25519.Verify(key, content, s) {
				return true
			}
		}
		return false
	})
}
