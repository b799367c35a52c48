package api

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	scopeAdmin  = "admin"
	scopeRead   = "read"
	tokenPrefix = "swt_"
)

var tokenDigits = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewToken makes a token of 256 bits from random: its secret, to be shown once,
// and what is kept. Scopes are checked; expires may be zero, for never.
func NewToken(random io.Reader, name string, scopes []string, now, expires time.Time) (string, seawall.Token, error) {
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
	secret := tokenPrefix + tokenDigits.EncodeToString(raw)
	return secret, seawall.Token{Name: name, Hash: hashToken(secret), Scopes: scopes, Created: now, Expires: expires}, nil
}

func hashToken(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return seawall.Errorf(seawall.ErrInvalid, "a token needs a scope").WithHint("one of: admin, read, calls:SYSTEM, events:SOURCE")
	}
	for _, s := range scopes {
		kind, name, named := strings.Cut(s, ":")
		ok := s == scopeAdmin || s == scopeRead || (kind == "calls" || kind == "events") && named && name != ""
		if !ok {
			return seawall.Errorf(seawall.ErrInvalid, "%q is not a scope", s).
				WithHint("one of: admin, read, calls:SYSTEM, events:SOURCE")
		}
	}
	return nil
}

// tokens knows the store's tokens by their hash. Looking a hash up takes a time
// that tells nothing about the secret. The zero value with a store is ready.
type tokens struct {
	store store.Tokens

	mu     sync.Mutex
	at     time.Time
	byHash map[[32]byte]seawall.Token
}

// known returns every token there is, expired ones too: that the last one has
// expired does not open the door again.
func (t *tokens) known(ctx context.Context, now time.Time) (map[[32]byte]seawall.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := now.Sub(t.at); t.byHash != nil && age >= 0 && age < tokenCache {
		return t.byHash, nil
	}
	list, err := t.store.ListTokens(ctx)
	if err != nil {
		return nil, err
	}
	t.byHash = make(map[[32]byte]seawall.Token, len(list))
	for _, token := range list {
		t.byHash[token.Hash] = token
	}
	t.at = now
	return t.byHash, nil
}

// changed makes the next request read the tokens anew.
func (t *tokens) changed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byHash = nil
}

func (s *server) registerTokens(doc huma.API) {
	handle(s, doc, op("list-tokens", http.MethodGet, "/tokens", "tokens", "List tokens",
		"Without their secrets, which are not kept."), s.listTokens)
	create := op("create-token", http.MethodPost, "/tokens", "tokens", "Create a token",
		"The answer holds its secret, which is shown this once.")
	create.DefaultStatus = http.StatusCreated
	handle(s, doc, create, s.createToken)
	handle(s, doc, op("delete-token", http.MethodDelete, "/tokens/{name}", "tokens", "Delete a token", ""), s.deleteToken)
}

func (s *server) listTokens(ctx context.Context, _ *struct{}) (*answer[Page[Token]], error) {
	list, err := s.Store.ListTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	slices.SortFunc(list, func(a, b seawall.Token) int { return strings.Compare(a.Name, b.Name) })
	return whole(each(list, formToken)), nil
}

func (s *server) createToken(ctx context.Context, in *struct{ Body TokenRequest }) (*answer[Token], error) {
	expires, err := ahead(in.Body.Expire, s.Now())
	if err != nil {
		return nil, err
	}
	secret, t, err := NewToken(s.Random, in.Body.Name, in.Body.Scopes, s.Now(), expires)
	if err != nil {
		return nil, err
	}
	a := s.action(ctx, "token.create", t.Name, map[string]string{"scopes": strings.Join(t.Scopes, " ")})
	if !expires.IsZero() {
		a.Detail["expires"] = expires.Format(time.RFC3339)
	}
	if err := s.Store.AddToken(ctx, t, a); err != nil {
		return nil, fmt.Errorf("create token %q: %w", t.Name, err)
	}
	s.tokens.changed()
	form := formToken(t)
	form.Secret = secret
	return &answer[Token]{form}, nil
}

func (s *server) deleteToken(ctx context.Context, in *struct {
	Name string `path:"name" maxLength:"64"`
}) (*struct{}, error) {
	if err := s.Store.DeleteToken(ctx, in.Name, s.action(ctx, "token.delete", in.Name, nil)); err != nil {
		return nil, fmt.Errorf("delete token %q: %w", in.Name, err)
	}
	s.tokens.changed()
	return nil, nil
}
