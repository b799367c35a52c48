package verify

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"time"
)

// Algorithm is the hash of an HMAC (RFC 2104).
type Algorithm struct {
	Name string
	Size int // of the digest, in bytes
	make func() hash.Hash
}

// The algorithms that providers use.
var (
	SHA1   = Algorithm{"sha1", sha1.Size, sha1.New}
	SHA256 = Algorithm{"sha256", sha256.Size, sha256.New}
	SHA384 = Algorithm{"sha384", sha512.Size384, sha512.New384}
	SHA512 = Algorithm{"sha512", sha512.Size, sha512.New}
)

// Algorithms lists them all.
var Algorithms = []Algorithm{SHA1, SHA256, SHA384, SHA512}

// Sum is the HMAC of the parts, one after the other.
func (a Algorithm) Sum(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(a.make, key)
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// HMAC checks that one of the signatures is the HMAC of the parts under one of
// the keys, and returns which key. Signatures of another length than the
// digest's never fit, so an empty or truncated one is no signature.
func HMAC(a Algorithm, keys []Key, now time.Time, signatures [][]byte, parts ...[]byte) (int, error) {
	return Match(keys, now, func(key []byte) bool {
		sum, fits := a.Sum(key, parts...), false
		for _, s := range signatures {
			if len(s) == a.Size && hmac.Equal(sum, s) {
				fits = true
			}
		}
		return fits
	})
}
