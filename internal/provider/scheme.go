package provider

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// What the providers' files have in common.

// plainHMAC checks the simplest and most common scheme: one header with an
// HMAC-SHA256 of the body.
func plainHMAC(scheme, header, prefix string, e verify.Encoding) func(context.Context, *Request, []verify.Key) (string, error) {
	return func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
		value, err := verify.Header(r.Header, header)
		if err != nil {
			return "", err
		}
		sig, err := verify.Signature(header, value, prefix, e, verify.SHA256.Size)
		if err != nil {
			return "", err
		}
		n, err := verify.HMAC(verify.SHA256, keys, r.Now, [][]byte{sig}, r.Body)
		if err != nil {
			return "", err
		}
		return proof(scheme, "secret", n, len(keys)), nil
	}
}

// signPlain signs for plainHMAC.
func signPlain(header, prefix string, e verify.Encoding) func(Settings, *Request) error {
	return func(s Settings, r *Request) error {
		secret, err := first("secret", s.Secrets)
		if err != nil {
			return err
		}
		r.Header.Set(header, prefix+e.Encode(verify.SHA256.Sum([]byte(secret), r.Body)))
		return nil
	}
}

// signedAt reads the signed time out of a header.
func signedAt(header, value, unit string) (time.Time, error) {
	t, err := verify.ParseTime(value, unit)
	if err != nil {
		return t, verify.Errorf(verify.HeaderMalformed, "the header %s does not hold a time (%s)", header, unitName(unit))
	}
	return t, nil
}

func unitName(unit string) string {
	switch unit {
	case verify.Millis:
		return "milliseconds since 1970"
	case verify.RFC3339:
		return "RFC 3339"
	}
	return "seconds since 1970"
}

func tolerance(s Settings, standard time.Duration) time.Duration {
	if s.Tolerance > 0 {
		return s.Tolerance
	}
	return standard
}

// first is the newest secret: the one to sign with.
func first(key string, secrets []Secret) (string, error) {
	if len(secrets) == 0 || secrets[0].Value == "" {
		return "", wrong(key, "is missing: there is nothing to sign with")
	}
	return secrets[0].Value, nil
}

// unreadable tells of a payload that was not read to the end of what was asked.
func unreadable(err error) string {
	if err == nil {
		return ""
	}
	return "payload: " + err.Error()
}

func errShort(n int) error {
	return fmt.Errorf("it holds %d bytes, and fewer than %d can be guessed", n, leastDecoded)
}

func plainText(status int, body string) *Answer {
	return &Answer{Status: status, Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: []byte(body)}
}

func jsonAnswer(body string) *Answer {
	return &Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}
