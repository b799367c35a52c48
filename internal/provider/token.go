package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// A shared token, sent along with every request: as a bearer token, in a header
// of its own, or in the query. It covers neither the body nor the time.

var genericToken = entry{
	Info: Info{
		Name: "token", Title: "A token or API key",
		Doc:   "Authorization: Bearer …; or a header or a query parameter as set",
		ID:    genericID,
		Needs: "token",
		Keys:  []string{"token", "header", "query", "each", "id", "type", "time"},
	},
	open:   openToken,
	sample: genericSample,
	sign: func(s Settings, r *Request) error {
		token, err := first("token", s.Tokens)
		if err != nil {
			return err
		}
		switch {
		case s.Query != "":
			mark := "?"
			if strings.Contains(r.URL, "?") {
				mark = "&"
			}
			r.URL += mark + url.QueryEscape(s.Query) + "=" + url.QueryEscape(token)
		case s.Header != "" && !strings.EqualFold(s.Header, authorization):
			r.Header.Set(s.Header, token)
		default:
			r.Header.Set(authorization, "Bearer "+token)
		}
		return nil
	},
}

const authorization = "Authorization"

func openToken(s Settings) (*source, error) {
	keys, err := textKeys("token", s.Tokens, "the token that the sender sends along; make one with: openssl rand -hex 32")
	if err != nil {
		return nil, err
	}
	src := &source{keys: keys, items: genericItems(s)}
	switch {
	case s.Query != "" && s.Header != "":
		return nil, wrong("query", "and header are given: the token comes in one of them")
	case s.Query != "":
		src.secretQuery = []string{s.Query}
		src.check = checkToken("token in the query", func(r *Request) (string, error) { return queryToken(r, s.Query) })
	case s.Header != "" && !strings.EqualFold(s.Header, authorization):
		if !validHeader(s.Header) {
			return nil, wrong("header", "is not the name of a header")
		}
		src.signature, src.secret = http.CanonicalHeaderKey(s.Header), []string{http.CanonicalHeaderKey(s.Header)}
		src.check = checkToken("token", func(r *Request) (string, error) { return verify.Header(r.Header, s.Header) })
	default:
		src.signature, src.secret = authorization, []string{authorization}
		src.check = checkToken("bearer token", func(r *Request) (string, error) {
			value, err := verify.Header(r.Header, authorization)
			if err != nil {
				return "", err
			}
			return verify.Bearer(value)
		})
	}
	return src, nil
}

func checkToken(scheme string, sent func(*Request) (string, error)) func(context.Context, *Request, []verify.Key) (string, error) {
	return func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
		token, err := sent(r)
		if err != nil {
			return "", err
		}
		n, err := verify.Token(keys, r.Now, token)
		if err != nil {
			return "", err
		}
		return proof(scheme, "token", n, len(keys)), nil
	}
}

// queryToken reads the one value of a query parameter.
func queryToken(r *Request, name string) (string, error) {
	_, query, _ := strings.Cut(r.URL, "?")
	query, _, _ = strings.Cut(query, "#")
	form, err := url.ParseQuery(query)
	switch values := form[name]; {
	case err != nil:
		return "", verify.Errorf(verify.HeaderMalformed, "the query cannot be read")
	case len(values) == 0 || values[0] == "":
		return "", verify.Errorf(verify.HeaderMissing, "the query parameter %s is missing", name)
	case len(values) > 1:
		return "", verify.Errorf(verify.HeaderRepeated, "the query parameter %s came %d times", name, len(values))
	default:
		return values[0], nil
	}
}

var genericBasic = entry{
	Info: Info{
		Name: "basic", Title: "User name and password",
		Doc:   "Authorization: Basic … (RFC 7617)",
		ID:    genericID,
		Needs: "username, password",
		Keys:  []string{"username", "password", "each", "id", "type", "time"},
	},
	open:   openBasic,
	sample: genericSample,
	sign: func(s Settings, r *Request) error {
		r.Header.Set(authorization, "Basic "+verify.Base64.Encode([]byte(s.Username+":"+s.Password)))
		return nil
	},
}

func openBasic(s Settings) (*source, error) {
	if s.Username == "" {
		return nil, wrong("username", "is missing")
	}
	if strings.Contains(s.Username, ":") {
		return nil, wrong("username", "holds a colon, which RFC 7617 does not allow")
	}
	pair, err := keys("password", []Secret{{Value: s.Password}}, "the password that the sender sends along", func(p string) ([]byte, error) {
		if strings.ContainsAny(p, "\r\n") {
			return nil, errors.New("it holds a line break")
		}
		return []byte(s.Username + ":" + p), nil
	})
	if err != nil {
		return nil, err
	}
	return &source{
		keys: pair, signature: authorization, secret: []string{authorization}, items: genericItems(s),
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, authorization)
			if err != nil {
				return "", err
			}
			sent, err := verify.Basic(value)
			if err != nil {
				return "", err
			}
			if _, err := verify.Token(keys, r.Now, sent); err != nil {
				return "", verify.Errorf(verify.CredentialWrong, "user name or password is not the configured one")
			}
			return "basic", nil
		},
	}, nil
}

var genericNone = entry{
	Info: Info{
		Name: "none", Title: "No authentication",
		Doc:   "anyone who knows the address can send; for tests and private networks",
		ID:    genericID,
		Needs: "nothing",
		Keys:  []string{"each", "id", "type", "time"},
	},
	open: func(s Settings) (*source, error) {
		return &source{
			items:  genericItems(s),
			check:  func(context.Context, *Request, []verify.Key) (string, error) { return "none", nil },
			secret: []string{authorization}, // in case it is sent, it is not ours to keep
		}, nil
	},
	sample: genericSample,
	sign:   func(Settings, *Request) error { return nil },
}
