package verify

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"
)

// Token checks that a shared secret that was sent along is one of the keys, and
// returns which. The digests are compared rather than the bytes, so that the
// time tells nothing of the length either. The error is [CredentialWrong].
func Token(keys []Key, now time.Time, sent string) (int, error) {
	given := sha256.Sum256([]byte(sent))
	n, err := Match(keys, now, func(key []byte) bool {
		want := sha256.Sum256(key)
		return subtle.ConstantTimeCompare(given[:], want[:]) == 1
	})
	if e, ok := err.(*Error); ok && e.Reason == SignatureMismatch {
		return 0, Errorf(CredentialWrong, "the token is not one of the %d configured", len(keys))
	}
	return n, err
}

// Bearer cuts the token out of an Authorization header (RFC 6750, section 2.1).
// The name of the scheme is case-insensitive (RFC 9110, section 11.1).
func Bearer(value string) (string, error) {
	token, ok := cutScheme(value, "Bearer")
	if !ok {
		return "", Errorf(HeaderMalformed, "the header Authorization is not of the form: Bearer TOKEN")
	}
	return token, nil
}

// Basic decodes an Authorization header with user name and password (RFC 7617)
// to "user:password" in UTF-8.
func Basic(value string) (string, error) {
	text, ok := cutScheme(value, "Basic")
	if !ok {
		return "", Errorf(HeaderMalformed, "the header Authorization is not of the form: Basic CREDENTIALS")
	}
	pair, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !strings.Contains(string(pair), ":") {
		return "", Errorf(HeaderMalformed, "the header Authorization does not hold base64 of user:password")
	}
	return string(pair), nil
}

func cutScheme(value, scheme string) (string, bool) {
	name, rest, ok := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	return rest, ok && rest != "" && strings.EqualFold(name, scheme)
}
