package provider

import (
	"errors"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/internal/expr"
)

func TestSettings(t *testing.T) {
	secret := func(v string) []Secret { return []Secret{{Value: v}} }
	good := settingsFor("hmac")
	hmac := func(change func(*Settings)) Settings {
		s := good
		change(&s)
		return s
	}
	id, err := expr.Compile(".id")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		s              Settings
		key, msg, hint string
	}{
		{"unknown", Settings{Provider: "strpe"}, "provider", "not a provider", "did you mean stripe?"},
		{"unknown, far", Settings{Provider: "mailgun"}, "provider", "not a provider", "one of: discord, github"},
		{"no provider", Settings{}, "provider", "is missing", "one of"},
		{"no secret", Settings{Provider: "github"}, "secret", "is missing", "that you gave the webhook"},
		{"empty", Settings{Provider: "github", Secrets: secret("")}, "secret", "is empty", ""},
		{"second empty", Settings{Provider: "github", Secrets: append(secret("a good secret"), Secret{})}, "secret", "number 2 is empty", ""},
		{"short", Settings{Provider: "github", Secrets: secret("hunter2")}, "secret", "too short", ""},
		{"placeholder", Settings{Provider: "shopify", Secrets: secret("changeme")}, "secret", "placeholder", ""},
		{"one letter", Settings{Provider: "shopify", Secrets: secret("xxxxxxxxxxxxxxxx")}, "secret", "over and over", ""},
		{"line break", Settings{Provider: "slack", Secrets: secret("8f742231b10e8888abcd99yyyzzz85a5\n")}, "secret", "line break", ""},
		{"API key", Settings{Provider: "stripe", Secrets: secret("sk_test_0123456789abcdef")}, "secret", "API key", "whsec_"},
		{"no prefix", Settings{Provider: "stripe", Secrets: secret("0123456789abcdef0123")}, "secret", "does not begin with whsec_", "whsec_"},
		{"cut short", Settings{Provider: "stripe", Secrets: secret("whsec_0123")}, "secret", "cut short", ""},
		{"not base64", Settings{Provider: "svix", Secrets: secret("whsec_not base64!")}, "secret", "not base64", ""},
		{"few bytes", Settings{Provider: "svix", Secrets: secret("whsec_AAECAwQFBgc=")}, "secret", "holds 8 bytes", ""},
		{"public as secret", Settings{Provider: "svix", Secrets: secret("whpk_F6ojENBYmEYKNoPNmyGbIAsTXc8dUJXRGEZk+Tin4gs=")}, "secret", "half of an Ed25519", ""},
		{"private as public", Settings{Provider: "svix", PublicKeys: []string{whsk}}, "public_key", "only the sender should hold", ""},
		{"public, short", Settings{Provider: "svix", PublicKeys: []string{"whpk_AAAA"}}, "public_key", "32 bytes", ""},
		{"discord, not hex", Settings{Provider: "discord", PublicKeys: []string{"whpk_AAAA"}}, "public_key", "64 hex digits", ""},
		{"discord, none", Settings{Provider: "discord"}, "public_key", "is missing", ""},
		{"does not belong", Settings{Provider: "github", Secrets: secret("a good secret"), Header: "X"}, "header", "does not belong", "it takes: secret"},
		{"id of a known provider", Settings{Provider: "github", Secrets: secret("a good secret"), ID: id}, "id", "does not belong", ""},
		{"token, none", Settings{Provider: "token"}, "token", "is missing", "openssl"},
		{"token, two places", Settings{Provider: "token", Tokens: secret("a good token"), Header: "X", Query: "k"}, "query", "one of them", ""},
		{"token, bad header", Settings{Provider: "token", Tokens: secret("a good token"), Header: "X Y"}, "header", "not the name", ""},
		{"basic, no name", Settings{Provider: "basic", Password: "a good password"}, "username", "is missing", ""},
		{"basic, colon", Settings{Provider: "basic", Username: "a:b", Password: "a good password"}, "username", "colon", ""},
		{"basic, no password", Settings{Provider: "basic", Username: "a"}, "password", "is empty", ""},
		{"hmac, no header", hmac(func(s *Settings) { s.Header = "" }), "header", "is missing", "X-Signature"},
		{"hmac, bad header", hmac(func(s *Settings) { s.Header = "X-Sig\r\nX" }), "header", "not the name", ""},
		{"hmac, algorithm", hmac(func(s *Settings) { s.Algorithm = "md5" }), "algorithm", `"md5"`, "sha256"},
		{"hmac, encoding", hmac(func(s *Settings) { s.Encoding = "base32" }), "encoding", `"base32"`, "hex, base64, base64url"},
		{"hmac, key encoding", hmac(func(s *Settings) { s.SecretEnc = "rot13" }), "secret_encoding", `"rot13"`, "text, hex"},
		{"hmac, key not hex", hmac(func(s *Settings) { s.SecretEnc = "hex" }), "secret", "not hex", ""},
		{"hmac, no body", hmac(func(s *Settings) { s.Signed = "{url}" }), "signed", "no {body}", ""},
		{"hmac, unknown field", hmac(func(s *Settings) { s.Signed = "{bdy}" }), "signed", "{bdy} is not one of", ""},
		{"hmac, open brace", hmac(func(s *Settings) { s.Signed = "{body" }), "signed", "not closed", ""},
		{"hmac, no timestamp", hmac(func(s *Settings) { s.Signed = "{timestamp}.{body}" }), "timestamp", "is missing", "X-Timestamp"},
		{"hmac, unit", hmac(func(s *Settings) { s.Timestamp = TimestampSpec{"X-Ts", "minutes"} }), "timestamp", "not a unit", "s, ms, rfc3339"},
		{"hmac, tolerance without time", hmac(func(s *Settings) { s.Tolerance = 1e9 }), "tolerance", "needs a timestamp", ""},
		{"hmac, pairs without separator", hmac(func(s *Settings) { s.Pairs = &Pairs{"", "=", "v1", ""} }), "pairs", "no separator", ""},
		{"hmac, half pairs", hmac(func(s *Settings) { s.Pairs = &Pairs{",", "=", "", "t"} }), "pairs", "not that of the signature", ""},
		{"hmac, two times", hmac(func(s *Settings) {
			s.Pairs, s.Timestamp = &Pairs{",", "=", "v1", "t"}, TimestampSpec{"X-Ts", ""}
		}), "pairs", "both say", ""},
		{"negative", Settings{Provider: "slack", Secrets: secret("a good secret"), Tolerance: -1}, "tolerance", "negative", ""},
	} {
		src, err := Open(c.s)
		var e *SettingError
		if !errors.As(err, &e) || src != nil {
			t.Errorf("%s: opened, or %v", c.name, err)
			continue
		}
		if e.Key != c.key || !strings.Contains(e.Msg, c.msg) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %s: %s (%s)", c.name, e.Key, e.Msg, e.Hint)
		}
		for _, s := range c.s.Secrets {
			if len(s.Value) > 2 && strings.Contains(e.Error()+e.Hint, strings.TrimSpace(s.Value)) {
				t.Errorf("%s shows the secret: %v", c.name, err)
			}
		}
	}
}

// Every setting that a provider says it takes is one that given knows.
func TestInfoKeys(t *testing.T) {
	all := Settings{
		Secrets: []Secret{{}}, Tokens: []Secret{{}}, PublicKeys: []string{""}, Username: "u", Password: "p", Header: "h", Query: "q", Algorithm: "a",
		Encoding: "e", Prefix: "p", Signed: "s", SecretEnc: "e", Pairs: &Pairs{}, Timestamp: TimestampSpec{Unit: "s"}, Tolerance: 1,
		Each: new(expr.Code), ID: new(expr.Code), Type: new(expr.Code), Time: new(expr.Code),
	}
	known := strings.Join(all.given(), " ") + " "
	for _, info := range Names() {
		for _, k := range info.Keys {
			if !strings.Contains(known, k+" ") {
				t.Errorf("%s takes %s, which is no setting", info.Name, k)
			}
		}
	}
}
