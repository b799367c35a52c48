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
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/verify"
)

// signer signs each request.
type signer struct{ config.HMAC }

func (s *signer) put(_ context.Context, r *send.Request, now time.Time) error {
	stamp := strconv.FormatInt(now.Unix(), 10)
	if s.Stamp != "" {
		r.Header[http.CanonicalHeaderKey(s.Stamp)] = []string{stamp}
	}
	content, err := s.content(r, stamp)
	if err != nil {
		return fmt.Errorf("not sent: what the signature is over: %w", err)
	}
	hash := sha256.New
	if s.Hash == "sha512" {
		hash = sha512.New
	}
	mac := hmac.New(hash, []byte(s.Secret))
	for _, part := range content {
		mac.Write(part)
	}
	sum := mac.Sum(nil)
	text := hex.EncodeToString(sum)
	if s.Encode == "base64" {
		text = base64.StdEncoding.EncodeToString(sum)
	}
	r.Header[http.CanonicalHeaderKey(s.HMAC.Header)] = []string{s.Prefix + text}
	return nil
}

func (s *signer) content(r *send.Request, stamp string) ([][]byte, error) {
	if s.Content == nil {
		return [][]byte{r.Body}, nil
	}
	return s.Content.Fill(&verify.Content{
		Body: r.Body, Timestamp: stamp, URL: r.URL.String(), Path: r.URL.EscapedPath(), Method: r.Method, Header: r.Header,
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
