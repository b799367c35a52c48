package system

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/send"
)

// signer signs each request.
type signer struct{ config.HMAC }

func (s *signer) put(ctx context.Context, r *send.Request, now time.Time) error {
	stamp := strconv.FormatInt(now.Unix(), 10)
	content, err := s.content(ctx, r, stamp)
	if err != nil {
		return fmt.Errorf("not sent: what the signature is over: %w", err)
	}
	hash := sha256.New
	if s.Hash == "sha512" {
		hash = sha512.New
	}
	mac := hmac.New(hash, []byte(s.Secret))
	mac.Write(content)
	sum := mac.Sum(nil)
	text := hex.EncodeToString(sum)
	if s.Encode == "base64" {
		text = base64.StdEncoding.EncodeToString(sum)
	}
	if s.Stamp != "" {
		r.Header[http.CanonicalHeaderKey(s.Stamp)] = []string{stamp}
	}
	r.Header[http.CanonicalHeaderKey(s.HMAC.Header)] = []string{s.Prefix + text}
	return nil
}

func (s *signer) content(ctx context.Context, r *send.Request, stamp string) ([]byte, error) {
	if s.Content == nil {
		return r.Body, nil
	}
	text, err := s.Content.Expand(ctx, signed(r, stamp), expr.Raw)
	return []byte(text), err
}

// signed is what a template of a signature may speak of.
func signed(r *send.Request, stamp string) *expr.Input {
	return (&expr.Input{}).With(map[string]any{
		"method": r.Method, "path": r.URL.EscapedPath(), "query": r.URL.RawQuery, "host": r.URL.Host,
		"body": string(r.Body), "timestamp": stamp,
	})
}

func (s *signer) adds() ([]string, string) {
	names := []string{http.CanonicalHeaderKey(s.HMAC.Header)}
	if s.Stamp != "" {
		names = append(names, http.CanonicalHeaderKey(s.Stamp))
	}
	return names, ""
}

func (s *signer) secrets() []string { return []string{s.Secret} }
