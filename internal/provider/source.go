package provider

import (
	"context"
	"fmt"

	"github.com/seawall-dev/seawall/internal/verify"
)

// source is a Source put together from parts. A provider's file fills in those
// that it has. One that needs more than this (a key fetched at the time of the
// request, say) implements Source itself.
type source struct {
	traits Traits
	keys   []verify.Key // what check tries

	// check verifies the request with the keys. They are handed in, rather than
	// known to it, so that Explain can ask what other keys would have done.
	check func(ctx context.Context, r *Request, keys []verify.Key) (proof string, err error)

	// items identifies.
	items func(r *Request) ([]Item, string)

	// shakes tells whether a request, not yet verified, is a handshake; nil if
	// there are none. shake answers it once it has been verified.
	shakes func(r *Request) bool
	shake  func(ctx context.Context, r *Request) (*Answer, error)

	accepted func(r *Request) *Answer // nil: the gateway's own answer

	signature   string   // the header that the signature or the credential comes in
	secret      []string // headers that must not be kept
	secretQuery []string // query parameters that must not be kept
}

func (s *source) Handshake(ctx context.Context, r *Request) (*Answer, bool, error) {
	if s.shakes == nil || !s.shakes(r) {
		return nil, false, nil
	}
	if _, err := s.Verify(ctx, r); err != nil {
		return nil, false, err
	}
	a, err := s.shake(ctx, r)
	return a, err == nil, err
}

func (s *source) Verify(ctx context.Context, r *Request) (string, error) {
	return s.check(ctx, r, s.keys)
}

func (s *source) Identify(r *Request) ([]Item, string) {
	items, problem := s.items(r)
	for i := range items {
		items[i].tidy()
	}
	return items, problem
}

func (s *source) Accepted(r *Request) *Answer {
	if s.accepted == nil {
		return nil
	}
	return s.accepted(r)
}

func (s *source) Redact() (headers, query []string) { return s.secret, s.secretQuery }
func (s *source) Traits() Traits                    { return s.traits }

// proof says how a request was verified: the scheme, and which of several keys.
func proof(scheme, kind string, n, of int) string {
	if of == 1 {
		return scheme + ", " + kind
	}
	return fmt.Sprintf("%s, %s %d of %d", scheme, kind, n, of)
}
