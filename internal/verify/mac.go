package verify

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
	"time"
)

// Algorithm is the hash of an HMAC (RFC 2104).
type Algorithm struct {
	Name string
	Size int // of the digest, in bytes
	make func() hash.Hash
	kept *states
}

// The algorithms that providers use.
var (
	SHA1   = Algorithm{"sha1", sha1.Size, sha1.New, &states{}}
	SHA256 = Algorithm{"sha256", sha256.Size, sha256.New, &states{}}
	SHA384 = Algorithm{"sha384", sha512.Size384, sha512.New384, &states{}}
	SHA512 = Algorithm{"sha512", sha512.Size, sha512.New, &states{}}
)

// Algorithms lists them all.
var Algorithms = []Algorithm{SHA1, SHA256, SHA384, SHA512}

// Sum is the HMAC of the parts, one after the other.
func (a Algorithm) Sum(key []byte, parts ...[]byte) []byte {
	pool := a.kept.of(key)
	mac, ok := pool.Get().(hash.Hash)
	if !ok {
		mac = hmac.New(a.make, key)
	}
	for _, p := range parts {
		mac.Write(p)
	}
	sum := mac.Sum(nil)
	mac.Reset()
	pool.Put(mac)
	return sum
}

// states keeps HMACs that have taken in their key, which is half the work on a
// short message. The zero value is ready.
type states struct {
	mu    sync.RWMutex
	byKey map[string]*sync.Pool
}

// keptKeys bounds the keys of which states are kept. A configuration has fewer.
const keptKeys = 1024

// of is where those of a key are.
func (s *states) of(key []byte) *sync.Pool {
	s.mu.RLock()
	p := s.byKey[string(key)]
	s.mu.RUnlock()
	if p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byKey[string(key)]; p != nil {
		return p
	}
	if s.byKey == nil || len(s.byKey) >= keptKeys {
		s.byKey = map[string]*sync.Pool{}
	}
	p = &sync.Pool{}
	s.byKey[string(key)] = p
	return p
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
