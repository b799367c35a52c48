package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/seawall"
)

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
	secret, t, err := access.New(s.Random, in.Body.Name, in.Body.Scopes, s.Now(), expires)
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
	s.tokens.Changed()
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
	s.tokens.Changed()
	return nil, nil
}
