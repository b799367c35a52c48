package provider

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

var (
	testNow = time.Unix(1795400000, 0).UTC()
	testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	whsk    = verify.PrivatePrefix + base64.StdEncoding.EncodeToString(testKey.Seed())
	public  = testKey.Public().(ed25519.PublicKey)
)

// settingsFor makes settings with which a source of the provider can be opened
// and signed for.
func settingsFor(name string) Settings {
	s := Settings{Provider: name}
	switch name {
	case "standardwebhooks", "svix":
		s.Secrets = []Secret{{Value: "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmn"))}}
	case "stripe":
		s.Secrets = []Secret{{Value: "whsec_3d20bdbae9dab1d19ccc40fced4ea82b"}}
	case "discord":
		s.PublicKeys = []string{hex.EncodeToString(public)}
	case "hmac":
		s.Secrets, s.Header = []Secret{{Value: "a secret between us"}}, "X-Sig"
	case "token":
		s.Tokens = []Secret{{Value: "0123456789abcdef0123456789abcdef"}}
	case "basic":
		s.Username, s.Password = "hook", "p:ss wörd"
	case "none":
	default:
		s.Secrets = []Secret{{Value: "0123456789abcdef0123456789abcdef"}}
	}
	return s
}

// signer is settings that SignRequest takes: Discord's need the private key.
func signer(s Settings) Settings {
	if s.Provider == "discord" {
		s.Secrets = []Secret{{Value: whsk}}
	}
	return s
}

func open(t testing.TB, s Settings) Source {
	t.Helper()
	src, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// signedSample is a request that verifies with settingsFor.
func signedSample(t testing.TB, s Settings, n string) *Request {
	t.Helper()
	r, err := Sample(s.Provider, n, "https://hooks.example.com/in/x", testNow)
	if err != nil {
		t.Fatal(err)
	}
	if err := SignRequest(signer(s), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func reason(err error) verify.Reason {
	var e *verify.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func TestSamplesVerify(t *testing.T) {
	for _, info := range Names() {
		s := settingsFor(info.Name)
		src := open(t, s)
		r := signedSample(t, s, "a1")
		if _, ok, err := src.Handshake(t.Context(), r); ok || err != nil {
			t.Errorf("%s: handshake %v, %v", info.Name, ok, err)
		}
		if _, err := src.Verify(t.Context(), r); err != nil {
			t.Errorf("%s: %v", info.Name, err)
		}
		items, problem := src.Identify(r)
		if len(items) != 1 || items[0].ID == "" || problem != "" {
			t.Errorf("%s: %+v, %s", info.Name, items, problem)
			continue
		}
		again, _ := src.Identify(signedSample(t, s, "a1"))
		other, _ := src.Identify(signedSample(t, s, "a2"))
		if again[0].ID != items[0].ID || other[0].ID == items[0].ID {
			t.Errorf("%s: ids %q, again %q, other %q", info.Name, items[0].ID, again[0].ID, other[0].ID)
		}
		if src.Traits().Objects != (items[0].Entity != "") {
			t.Errorf("%s: says that it knows objects: %t, and gives %q", info.Name, src.Traits().Objects, items[0].Entity)
		}
		if src.Traits().Name != info.Name || info.Doc == "" || info.ID == "" {
			t.Errorf("%s: %+v", info.Name, info)
		}
	}
}

// Each rejection says why, in a stable word.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		provider, what string
		change         func(r *Request)
		want           verify.Reason
	}{
		{"stripe", "no header", del("Stripe-Signature"), verify.HeaderMissing},
		{"stripe", "empty", set("Stripe-Signature", " "), verify.HeaderMissing},
		{"stripe", "twice", again("Stripe-Signature"), verify.HeaderRepeated},
		{"stripe", "no time", set("Stripe-Signature", "v1=00"), verify.HeaderMalformed},
		{"stripe", "time twice", edit("Stripe-Signature", "t=", "t=1,t="), verify.HeaderMalformed},
		{"stripe", "only v0", edit("Stripe-Signature", "v1=", "v0="), verify.HeaderMalformed},
		{"stripe", "no pairs", set("Stripe-Signature", "nonsense"), verify.HeaderMalformed},
		{"stripe", "flood", set("Stripe-Signature", "t=1"+strings.Repeat(",v1=00", 1000)), verify.HeaderMalformed},
		{"stripe", "body", body("x"), verify.SignatureMismatch},
		{"stripe", "300 s", later(300), ""},
		{"stripe", "301 s", later(301), verify.TimestampOld},
		{"stripe", "future is not bounded", later(-86400), ""},
		{"stripe", "301 s and a forged body", both(later(301), body("x")), verify.SignatureMismatch},
		{"standardwebhooks", "no id", del("Webhook-Id"), verify.HeaderMissing},
		{"standardwebhooks", "id twice", again("Webhook-Id"), verify.HeaderRepeated},
		{"standardwebhooks", "time twice", again("Webhook-Timestamp"), verify.HeaderRepeated},
		{"standardwebhooks", "signature twice", again("Webhook-Signature"), verify.HeaderRepeated},
		{"standardwebhooks", "time is text", set("Webhook-Timestamp", "now"), verify.HeaderMalformed},
		{"standardwebhooks", "time is negative", set("Webhook-Timestamp", "-1795400000"), verify.HeaderMalformed},
		{"standardwebhooks", "empty signature", set("Webhook-Signature", "v1,"), verify.HeaderMalformed},
		{"standardwebhooks", "unknown version only", edit("Webhook-Signature", "v1,", "v9,"), verify.HeaderMalformed},
		{"standardwebhooks", "v1 sold as v1a", edit("Webhook-Signature", "v1,", "v1a,"), verify.HeaderMalformed},
		{"standardwebhooks", "known among unknown", edit("Webhook-Signature", "v1,", "v2,x v1,!! v1,"), ""},
		{"standardwebhooks", "301 s", later(301), verify.TimestampOld},
		{"standardwebhooks", "301 s ahead", later(-301), verify.TimestampFuture},
		{"standardwebhooks", "300 s ahead", later(-300), ""},
		{"svix", "under the other names", rename("Svix-Signature", "Webhook-Signature"), verify.HeaderMissing},
		{"github", "sha1 only", rename("X-Hub-Signature-256", "X-Hub-Signature"), verify.HeaderMissing},
		{"github", "no prefix", edit("X-Hub-Signature-256", "sha256=", ""), verify.HeaderMalformed},
		{"github", "upper case prefix", edit("X-Hub-Signature-256", "sha256=", "SHA256="), verify.HeaderMalformed},
		{"github", "cut short", edit("X-Hub-Signature-256", "sha256=00", ""), verify.HeaderMalformed},
		{"github", "empty digest", set("X-Hub-Signature-256", "sha256="), verify.HeaderMalformed},
		{"shopify", "hex", set("X-Shopify-Hmac-Sha256", strings.Repeat("ab", 32)), verify.HeaderMalformed},
		{"shopify", "body", body("{}"), verify.SignatureMismatch},
		{"shopify", "line break", set("X-Shopify-Hmac-Sha256", strings.Repeat("A", 43)+"=\n"), verify.SignatureMismatch},
		{"slack", "no time", del("X-Slack-Request-Timestamp"), verify.HeaderMissing},
		{"slack", "old", later(301), verify.TimestampOld},
		{"slack", "ahead", later(-301), verify.TimestampFuture},
		{"twilio", "other URL", func(r *Request) { r.URL += "?x=1" }, verify.SignatureMismatch},
		{"twilio", "port", func(r *Request) { r.URL = "https://hooks.example.com:443/in/x" }, ""},
		{"twilio", "field added", func(r *Request) { r.Body = append(r.Body, "&X=1"...) }, verify.SignatureMismatch},
		{"twilio", "unreadable form", body("%zz=1"), verify.BodyUnreadable},
		{"discord", "no time", del("X-Signature-Timestamp"), verify.HeaderMissing},
		{"discord", "other time", set("X-Signature-Timestamp", "1795400001"), verify.SignatureMismatch},
		{"discord", "late", later(86400), ""},
		{"hmac", "no header", del("X-Sig"), verify.HeaderMissing},
		{"token", "wrong", set("Authorization", "Bearer nope"), verify.CredentialWrong},
		{"token", "not bearer", set("Authorization", "Basic nope"), verify.HeaderMalformed},
		{"token", "scheme's case", edit("Authorization", "Bearer", "bEARER"), ""},
		{"token", "empty", set("Authorization", "Bearer "), verify.HeaderMalformed},
		{"token", "twice", again("Authorization"), verify.HeaderRepeated},
		{"basic", "wrong", set("Authorization", "Basic aG9vazpub3Bl"), verify.CredentialWrong},
		{"basic", "no colon", set("Authorization", "Basic aG9vaw=="), verify.HeaderMalformed},
	} {
		s := settingsFor(c.provider)
		r := signedSample(t, s, "a1")
		c.change(r)
		_, err := open(t, s).Verify(t.Context(), r)
		if reason(err) != c.want {
			t.Errorf("%s, %s: %v, want %q", c.provider, c.what, err, c.want)
		}
	}
}

func set(name, value string) func(*Request) {
	return func(r *Request) { r.Header.Set(name, value) }
}
func del(name string) func(*Request)  { return func(r *Request) { r.Header.Del(name) } }
func body(text string) func(*Request) { return func(r *Request) { r.Body = []byte(text) } }
func later(s int64) func(*Request) {
	return func(r *Request) { r.Now = r.Now.Add(time.Duration(s) * time.Second) }
}
func again(name string) func(*Request) {
	return func(r *Request) { r.Header.Add(name, r.Header.Get(name)) }
}
func both(a, b func(*Request)) func(*Request) {
	return func(r *Request) { a(r); b(r) }
}
func rename(from, to string) func(*Request) {
	return func(r *Request) { r.Header.Set(to, r.Header.Get(from)); r.Header.Del(from) }
}

// edit replaces a beginning of the header's part; with "00" in old, any two
// characters are cut after what is before it.
func edit(name, old, with string) func(*Request) {
	return func(r *Request) {
		v := r.Header.Get(name)
		if p, cut := strings.CutSuffix(old, "00"); cut {
			r.Header.Set(name, p+v[len(p)+2:])
			return
		}
		r.Header.Set(name, strings.Replace(v, old, with, 1))
	}
}

func TestSecretsInRotation(t *testing.T) {
	s := settingsFor("github")
	r := signedSample(t, s, "a1")
	old := s.Secrets[0]
	fresh := Secret{Value: "another secret that is new"}

	s.Secrets = []Secret{fresh, old}
	if p, err := open(t, s).Verify(t.Context(), r); err != nil || p != "github sha256, secret 2 of 2" {
		t.Errorf("proof %q, %v", p, err)
	}
	old.Expires = testNow.Add(time.Second)
	s.Secrets = []Secret{fresh, old}
	if _, err := open(t, s).Verify(t.Context(), r); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	old.Expires = testNow
	s.Secrets = []Secret{fresh, old}
	if _, err := open(t, s).Verify(t.Context(), r); reason(err) != verify.SecretExpired {
		t.Errorf("at its end: %v", err)
	}
	s.Secrets = []Secret{fresh}
	if _, err := open(t, s).Verify(t.Context(), r); reason(err) != verify.SignatureMismatch {
		t.Errorf("after its end: %v", err)
	}
}

func TestStandardBothKinds(t *testing.T) {
	s := settingsFor("standardwebhooks")
	v1 := signedSample(t, s, "a1")
	s.PublicKeys = []string{verify.PublicPrefix + base64.StdEncoding.EncodeToString(public)}
	v1a, _ := Sample("standardwebhooks", "a1", "https://h/x", testNow)
	if err := SignRequest(Settings{Provider: "standardwebhooks", Secrets: []Secret{{Value: whsk}}}, v1a); err != nil {
		t.Fatal(err)
	}
	src := open(t, s)
	for want, r := range map[string]*Request{"standard webhooks v1, secret": v1, "standard webhooks v1a, public key": v1a} {
		if p, err := src.Verify(t.Context(), r); p != want || err != nil {
			t.Errorf("%q, %v, want %q", p, err, want)
		}
	}
	v1a.Body = append(v1a.Body, ' ')
	if _, err := src.Verify(t.Context(), v1a); reason(err) != verify.SignatureMismatch {
		t.Errorf("changed body: %v", err)
	}
}

func TestCredentialsAreRedacted(t *testing.T) {
	token := Settings{Provider: "token", Tokens: settingsFor("token").Tokens}
	for _, c := range []struct {
		s              Settings
		headers, query string
	}{
		{token, "Authorization", ""},
		{Settings{Provider: "token", Tokens: token.Tokens, Header: "x-api-key"}, "X-Api-Key", ""},
		{Settings{Provider: "token", Tokens: token.Tokens, Query: "key"}, "", "key"},
		{settingsFor("basic"), "Authorization", ""},
		{settingsFor("stripe"), "", ""},
	} {
		h, q := open(t, c.s).Redact()
		if strings.Join(h, ",") != c.headers || strings.Join(q, ",") != c.query {
			t.Errorf("%s: %v %v", c.s.Provider, h, q)
		}
		r := signedSample(t, c.s, "a1")
		if _, err := open(t, c.s).Verify(context.Background(), r); err != nil {
			t.Errorf("%s: %v", c.s.Provider, err)
		}
	}
	s := Settings{Provider: "token", Tokens: token.Tokens, Query: "key"}
	for url, want := range map[string]verify.Reason{
		"https://h/x":             verify.HeaderMissing,
		"https://h/x?key=":        verify.HeaderMissing,
		"https://h/x?key=a&key=b": verify.HeaderRepeated,
		"https://h/x?key=a":       verify.CredentialWrong,
		"https://h/x?a=1&key=" + token.Tokens[0].Value: "",
	} {
		r := &Request{Method: "POST", URL: url, Header: http.Header{}, Now: testNow}
		if _, err := open(t, s).Verify(t.Context(), r); reason(err) != want {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
