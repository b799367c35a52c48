package provider

import (
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
)

// Secret is key material, with the end of its time where it has one.
type Secret struct {
	Value   string
	Expires time.Time // zero: never
}

// Settings is what the configuration says about a source, checked for form but
// not yet for the provider's own rules: those are [Open]'s.
type Settings struct {
	Provider string // name in the catalogue

	Secrets    []Secret // secret / secrets
	Tokens     []Secret // token / tokens
	PublicKeys []string // public_key / public_keys
	Username   string   // basic
	Password   string   // basic

	Header    string        // token: the header the token comes in; hmac: that of the signature
	Query     string        // token: the query parameter it comes in
	Algorithm string        // hmac: sha1, sha256, sha384, sha512
	Encoding  string        // hmac: hex, base64, base64url
	Prefix    string        // hmac: before the signature, for example "sha256="
	Signed    string        // hmac: template of {body} {timestamp} {id} {url} {method} {path} {header:X}
	SecretEnc string        // hmac: how the secret becomes the key: text, hex, base64
	Pairs     *Pairs        // hmac: the header holds key=value pairs
	Timestamp TimestampSpec // hmac: where the time is that was signed
	Tolerance time.Duration // of the signed time; 0: the provider's default

	Fetch Fetcher // gets keys from the provider; nil: none can be had

	Each *expr.Code // generic sources: where in the body a list of events is; nil: the body is one
	ID   *expr.Code // generic sources: jq on the body; nil: none
	Type *expr.Code
	Time *expr.Code
}

// Pairs is the grammar of a header that holds several values, such as
// "t=1,v1=ab": separators between pairs and within one, and the keys.
type Pairs struct {
	Separator string // "," ";" "&" or " "
	Assign    string // "=" (default) "|" ","
	Signature string // key of the signature; may occur several times; "": the header is a list of plain signatures
	Timestamp string // key of the time; "" if it is elsewhere
}

// TimestampSpec says where and how the signed time is sent.
type TimestampSpec struct {
	Header string // "" if in the pairs, or nowhere
	Unit   string // "s" (default), "ms", "rfc3339"
}

// Fetcher makes the requests that a scheme needs to check another: for a
// certificate, a key set, a confirmation. Whoever provides it guards the address
// and bounds time and size; the provider's file checks the host before it asks,
// since the URL may come from an unverified request. A failure becomes
// [verify.Unavailable].
type Fetcher interface {
	Do(r *http.Request) (*http.Response, error)
}

// given names the settings that were made, as the configuration spells them.
func (s *Settings) given() []string {
	var out []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"secret", len(s.Secrets) > 0},
		{"token", len(s.Tokens) > 0},
		{"public_key", len(s.PublicKeys) > 0},
		{"username", s.Username != ""},
		{"password", s.Password != ""},
		{"header", s.Header != ""},
		{"query", s.Query != ""},
		{"algorithm", s.Algorithm != ""},
		{"encoding", s.Encoding != ""},
		{"prefix", s.Prefix != ""},
		{"signed", s.Signed != ""},
		{"secret_encoding", s.SecretEnc != ""},
		{"pairs", s.Pairs != nil},
		{"timestamp", s.Timestamp != TimestampSpec{}},
		{"tolerance", s.Tolerance != 0},
		{"each", s.Each != nil},
		{"id", s.ID != nil},
		{"type", s.Type != nil},
		{"time", s.Time != nil},
	} {
		if k.set {
			out = append(out, k.name)
		}
	}
	return out
}
