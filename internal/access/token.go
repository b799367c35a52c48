// Package access knows who makes a request: the tokens, what they allow, and
// those who guess at them.
package access

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Scopes of a token.
const (
	Admin = "admin" // everything
	Read  = "read"  // of the API: to look
)

// Calls is the scope of calls to a system, Events that of events of a source.
func Calls(system string) string  { return "calls:" + system }
func Events(source string) string { return "events:" + source }

// Prefix begins every token.
const Prefix = "swt_"

var digits = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New makes a token of 256 bits from random: its secret, to be shown once, and
// what is kept. Scopes are checked; expires may be zero, for never.
func New(random io.Reader, name string, scopes []string, now, expires time.Time) (string, seawall.Token, error) {
	if err := checkScopes(scopes); err != nil {
		return "", seawall.Token{}, err
	}
	if !expires.IsZero() && !expires.After(now) {
		return "", seawall.Token{}, seawall.Errorf(seawall.ErrInvalid, "the token would have expired already")
	}
	raw := make([]byte, 32)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", seawall.Token{}, fmt.Errorf("make a token: %w", err)
	}
	secret := Prefix + digits.EncodeToString(raw)
	return secret, seawall.Token{Name: name, Hash: hash(secret), Scopes: scopes, Created: now, Expires: expires}, nil
}

func hash(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return seawall.Errorf(seawall.ErrInvalid, "a token needs a scope").WithHint("one of: admin, read, calls:SYSTEM, events:SOURCE")
	}
	for _, s := range scopes {
		kind, name, named := strings.Cut(s, ":")
		ok := s == Admin || s == Read || (kind == "calls" || kind == "events") && named && name != ""
		if !ok {
			return seawall.Errorf(seawall.ErrInvalid, "%q is not a scope", s).
				WithHint("one of: admin, read, calls:SYSTEM, events:SOURCE")
		}
	}
	return nil
}

// Allows tells whether a token has the scope, or that of everything.
func Allows(t *seawall.Token, scope string) bool {
	return slices.Contains(t.Scopes, scope) || slices.Contains(t.Scopes, Admin)
}
