package provider

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Each case is signed rightly, then spoilt; the cause must be found.
func TestExplain(t *testing.T) {
	const text = `{"id":"evt_1","type":"a.b","note":"Größe \/ <b>","n":[1, 2],"created":1}` + "\n"
	signedOver := func(original string) func(*Settings, *Request) {
		return func(s *Settings, r *Request) {
			came := r.Body
			r.Body = []byte(original)
			if err := SignRequest(*s, r); err != nil {
				t.Fatal(err)
			}
			r.Body = came
		}
	}
	resign := func(secret string) func(*Settings, *Request) {
		return func(s *Settings, r *Request) {
			with := *s
			with.Secrets = []Secret{{Value: secret}}
			if err := SignRequest(with, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	stripeSecret := settingsFor("stripe").Secrets[0].Value
	for _, c := range []struct {
		name, provider, cause, says string
		spoil                       func(*Settings, *Request)
	}{
		{"verifies", "stripe", "verified", "stripe v1", func(*Settings, *Request) {}},
		{"line break lost", "stripe", "body_changed", "with a line break", func(s *Settings, r *Request) {
			signedOver(string(r.Body)+"\n")(s, r)
		}},
		{"line break added", "github", "body_changed", "without the line break", func(s *Settings, r *Request) { r.Body = append(r.Body, '\n') }},
		{"line breaks changed", "slack", "body_changed", "CR LF for LF", func(s *Settings, r *Request) {
			r.Body = []byte("{\n\"a\":1}")
			signedOver("{\r\n\"a\":1}")(s, r)
		}},
		{"indented", "stripe", "body_changed", "compact", func(s *Settings, r *Request) { r.Body = indent("  ")(r.Body) }},
		{"compacted from Python", "shopify", "body_changed", "after each comma", func(s *Settings, r *Request) {
			r.Body = compact([]byte(text))
			signedOver(strings.NewReplacer(`":`, `": `, `,"`, `, "`, `1,2`, `1, 2`).Replace(string(r.Body)))(s, r)
		}},
		{"unescaped", "stripe", "body_changed", `escaped as \uXXXX`, func(s *Settings, r *Request) {
			r.Body = []byte(text)
			signedOver(strings.NewReplacer("ö", `\u00f6`, "ß", `\u00df`).Replace(text))(s, r)
		}},
		{"escaped, compacted", "stripe", "body_changed", `unescaped`, func(s *Settings, r *Request) {
			signedOver(`{"note":"Größe 😀 \n"}`)(s, r)
			r.Body = []byte(`{"note": "Gr\u00f6\u00dfe \ud83d\ude00 \n"}`)
		}},
		{"HTML escaped", "stripe", "body_changed", `unescaped`, func(s *Settings, r *Request) {
			signedOver(`{"note":"<b>"}`)(s, r)
			r.Body = []byte(`{"note":"\u003cb\u003e"}`)
		}},
		{"slashes unescaped", "shopify", "body_changed", `/ escaped`, func(s *Settings, r *Request) {
			signedOver(`{"u":"gid:\/\/x","n":1}`)(s, r)
			r.Body = []byte(`{"u":"gid://x","n":1}`)
		}},
		{"other charset", "github", "body_changed", "ISO 8859-1", func(s *Settings, r *Request) {
			r.Body = []byte(text)
			signedOver(string(latin1([]byte(text))))(s, r)
		}},
		{"still compressed", "github", "body_changed", "decompressed", func(s *Settings, r *Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, string(r.Body))
			z.Close()
			r.Body = b.Bytes()
		}},
		{"340 s old", "stripe", "timestamp_old", "340 s ago; 300 s are allowed", func(s *Settings, r *Request) { r.Now = r.Now.Add(340 * time.Second) }},
		{"clock ahead", "slack", "timestamp_future", "400 s in the future", func(s *Settings, r *Request) { r.Now = r.Now.Add(-400 * time.Second) }},
		{"old and re-encoded", "stripe", "body_changed", "compact", func(s *Settings, r *Request) {
			r.Body, r.Now = indent("  ")(r.Body), r.Now.Add(time.Hour)
		}},
		{"wrong secret", "stripe", "wrong_secret", "most likely|not made with", resign("whsec_of_another_endpoint")},
		{"truncated capture", "stripe", "body_cut_off", "holds 10 bytes", func(s *Settings, r *Request) {
			r.Header.Set("Content-Length", fmt.Sprint(len(r.Body)))
			r.Body = r.Body[:10]
		}},
		{"expired", "github", "secret_expired", "its time ended", func(s *Settings, r *Request) { s.Secrets[0].Expires = r.Now }},
		{"SHA-1 only", "github", "header_missing", "X-Hub-Signature", func(s *Settings, r *Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1=00")
		}},
		{"renamed header", "shopify", "header_renamed", "X-Signature-Other", func(s *Settings, r *Request) {
			rename("X-Shopify-Hmac-Sha256", "X-Signature-Other")(r)
		}},
		{"another provider", "standardwebhooks", "header_missing", "Svix-Signature", func(s *Settings, r *Request) {
			for _, n := range []string{"Id", "Timestamp", "Signature"} {
				rename("Webhook-"+n, "Svix-"+n)(r)
			}
		}},
		{"header twice", "stripe", "header_repeated", "2 times", func(s *Settings, r *Request) { again("Stripe-Signature")(r) }},
		{"http behind a proxy", "twilio", "url_differs", "https://hooks.example.com", func(s *Settings, r *Request) { r.URL = "http://hooks.example.com/in/x" }},
		{"inner port", "twilio", "url_differs", "ours was http://hooks.example.com:8080", func(s *Settings, r *Request) { r.URL = "http://hooks.example.com:8080/in/x" }},
		{"inner host", "twilio", "url_differs", "https://hooks.example.com", func(s *Settings, r *Request) {
			r.URL = "http://10.0.0.1:8080/in/x"
			r.Header.Set("X-Forwarded-Host", "hooks.example.com")
		}},
		{"slash", "twilio", "url_differs", "/in/x", func(s *Settings, r *Request) { r.URL += "/" }},
		{"query", "twilio", "url_differs", "in/x, and", func(s *Settings, r *Request) { r.URL += "?a=secret-in-query" }},
		{"unknown URL", "twilio", "url_differs", "as the sender calls it", func(s *Settings, r *Request) { r.URL = "https://other.example/in/x" }},
		{"whsec_ left out by the sender", "github", "secret_form", "without the prefix", func(s *Settings, r *Request) {
			s.Secrets[0].Value = "whsec_0123456789abcdef"
			resign("0123456789abcdef")(s, r)
		}},
		{"line break in the sender's secret", "github", "secret_form", "line break", func(s *Settings, r *Request) {
			resign(s.Secrets[0].Value+"\n")(s, r)
		}},
		{"secret is hex", "hmac", "secret_form", "decoded as hex", func(s *Settings, r *Request) {
			s.Secrets[0].Value = "00112233445566778899aabbccddeeff"
			b, _ := hex.DecodeString(s.Secrets[0].Value)
			resign(string(b))(s, r)
		}},
		{"secret is base64", "slack", "secret_form", "decoded as base64", func(s *Settings, r *Request) {
			s.Secrets[0].Value = base64.StdEncoding.EncodeToString([]byte("a secret of bytes !?~~~"))
			resign("a secret of bytes !?~~~")(s, r)
		}},
		{"secret not decoded", "standardwebhooks", "secret_form", "as it is written", func(s *Settings, r *Request) {
			resign("whsec_"+base64.StdEncoding.EncodeToString([]byte(s.Secrets[0].Value)))(s, r)
		}},
		{"other algorithm", "hmac", "scheme_differs", "sha512, encoding base64", func(s *Settings, r *Request) {
			with := *s
			with.Algorithm, with.Encoding, with.Prefix = "sha512", "base64", "v1="
			if err := SignRequest(with, r); err != nil {
				t.Fatal(err)
			}
		}},
		{"token in other case", "token", "secret_form", "upper case", func(s *Settings, r *Request) {
			r.Header.Set("Authorization", "Bearer "+strings.ToUpper(s.Tokens[0].Value))
		}},
		{"wrong token", "token", "wrong_secret", "not one of", func(s *Settings, r *Request) { r.Header.Set("Authorization", "Bearer 1") }},
		{"unknown cut", "stripe", "header_malformed", "bytes in hex", func(s *Settings, r *Request) {
			r.Header.Set("Stripe-Signature", r.Header.Get("Stripe-Signature")[:60])
		}},
	} {
		s := settingsFor(c.provider)
		r := signedSample(t, s, "a1")
		c.spoil(&s, r)
		found := Explain(open(t, s), s, r)
		var all strings.Builder
		ok := false
		for _, f := range found {
			fmt.Fprintf(&all, "%s: %s (%s)\n", f.Cause, f.Text, f.Hint)
			for says := range strings.SplitSeq(c.says, "|") {
				ok = ok || f.Cause == c.cause && strings.Contains(f.Text, says)
			}
		}
		if !ok {
			t.Errorf("%s: want %s with %q, got\n%s", c.name, c.cause, c.says, all.String())
		}
		for _, secret := range []string{stripeSecret, s.Password, "secret-in-query"} {
			if secret != "" && strings.Contains(all.String(), secret) {
				t.Errorf("%s: a secret is shown:\n%s", c.name, all.String())
			}
		}
		for _, k := range append(s.Secrets, s.Tokens...) {
			if strings.Contains(all.String(), k.Value) {
				t.Errorf("%s: a secret is shown:\n%s", c.name, all.String())
			}
		}
	}
}

func TestExplainShowsNoRightSignature(t *testing.T) {
	s := settingsFor("github")
	r := signedSample(t, s, "a1")
	right := strings.TrimPrefix(r.Header.Get(gitHubHeader), "sha256=")
	r.Header.Set(gitHubHeader, "sha256="+strings.Repeat("0", 64))
	for _, f := range Explain(open(t, s), s, r) {
		if strings.Contains(f.Text+f.Hint, right) {
			t.Errorf("%+v", f)
		}
	}
	if _, err := open(t, s).Verify(t.Context(), r); strings.Contains(err.Error(), right) || reason(err) != verify.SignatureMismatch {
		t.Error(err)
	}
}

func TestParseCapture(t *testing.T) {
	r, err := ParseCapture([]byte(`{"method":"PUT","url":"https://h/x","headers":{"x-sig":"a","X-List":["b","c"]},"body":"aGk=","now":1795400013}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "PUT" || string(r.Body) != "hi" || r.Header.Get("X-Sig") != "a" || len(r.Header.Values("x-list")) != 2 || r.Now.Unix() != 1795400013 {
		t.Errorf("%+v", r)
	}
	r, err = ParseCapture([]byte(`{"body_text":"hi","now":"2026-11-23T02:13:33Z"}`))
	if err != nil || r.Method != "POST" || string(r.Body) != "hi" || r.Now.Unix() != 1795400013 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err = ParseCapture([]byte(`{}`)); err != nil || !r.Now.IsZero() || len(r.Body) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{``, `[]`, `{"body":"?"}`, `{"body":"","body_text":""}`, `{"headers":{"a":1}}`, `{"now":"yesterday"}`, `{"now":[]}`} {
		if _, err := ParseCapture([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
