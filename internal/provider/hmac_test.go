package provider

import (
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Schemes of the catalogue, described rather than built. The signatures are
// made by signHMAC's opposite: a plain HMAC over the bytes spelled out here.
func TestGenericHMAC(t *testing.T) {
	const secret = "a secret between us"
	const at = "1795400000"
	sum := func(a verify.Algorithm, e verify.Encoding, key, content string) string {
		return e.Encode(a.Sum([]byte(key), []byte(content)))
	}
	r := func(headers ...string) *Request {
		r := request(`{"a":1}`, headers...)
		r.URL = "https://hooks.example.com/in/x%20y?a=1"
		return r
	}
	base := Settings{Provider: "hmac", Secrets: []Secret{{Value: secret}}, Header: "X-Sig"}
	for _, c := range []struct {
		name   string
		change func(*Settings)
		r      *Request
		want   verify.Reason
	}{
		{"defaults", func(*Settings) {}, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `{"a":1}`)), ""},
		{"upper case hex", func(*Settings) {}, r("X-Sig", strings.ToUpper(sum(verify.SHA256, verify.Hex, secret, `{"a":1}`))), ""},
		{"sha1, base64, prefix", func(s *Settings) { s.Algorithm, s.Encoding, s.Prefix = "sha1", "base64", "sha1=" },
			r("X-Sig", "sha1="+sum(verify.SHA1, verify.Base64, secret, `{"a":1}`)), ""},
		{"sha384, base64url", func(s *Settings) { s.Algorithm, s.Encoding = "SHA-384", "base64url" },
			r("X-Sig", sum(verify.SHA384, verify.Base64URL, secret, `{"a":1}`)), ""},
		{"everything signed", func(s *Settings) { s.Signed = "v0:{method}:{url}:{path}:{id}:{header:X-Nonce}:{body}" },
			r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `v0:POST:https://hooks.example.com/in/x%20y?a=1:/in/x%20y:m1:n1:{"a":1}`), "Webhook-Id", "m1", "X-Nonce", "n1"), ""},
		{"signed header missing", func(s *Settings) { s.Signed = "{header:X-Nonce}{body}" }, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `{"a":1}`)), verify.HeaderMissing},
		{"signed header twice", func(s *Settings) { s.Signed = "{header:X-Nonce}{body}" },
			r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `n{"a":1}`), "X-Nonce", "n", "X-Nonce", "n"), verify.HeaderRepeated},
		{"signed id missing", func(s *Settings) { s.Signed = "{id}{body}" }, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `{"a":1}`)), verify.HeaderMissing},
		{"milliseconds", func(s *Settings) { s.Signed, s.Timestamp = "{timestamp}.{body}", TimestampSpec{"X-Ts", "ms"} },
			r("X-Sig", sum(verify.SHA256, verify.Hex, secret, at+`000.{"a":1}`), "X-Ts", at+"000"), ""},
		{"rfc3339, before and after", func(s *Settings) { s.Signed, s.Timestamp = "{body}{timestamp}", TimestampSpec{"X-Ts", "rfc3339"} },
			r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `{"a":1}2026-11-23T03:13:20+01:00`), "X-Ts", "2026-11-23T03:13:20+01:00"), ""},
		{"time in another unit", func(s *Settings) { s.Signed, s.Timestamp = "{timestamp}{body}", TimestampSpec{"X-Ts", "rfc3339"} },
			r("X-Sig", sum(verify.SHA256, verify.Hex, secret, at+`{"a":1}`), "X-Ts", at), verify.HeaderMalformed},
		{"too old", func(s *Settings) {
			s.Signed, s.Timestamp, s.Tolerance = "{timestamp}{body}", TimestampSpec{"X-Ts", ""}, 10e9
		}, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `1795399989{"a":1}`), "X-Ts", "1795399989"), verify.TimestampOld},
		{"at the edge", func(s *Settings) {
			s.Signed, s.Timestamp, s.Tolerance = "{timestamp}{body}", TimestampSpec{"X-Ts", ""}, 10e9
		}, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `1795400010{"a":1}`), "X-Ts", "1795400010"), ""},
		{"pairs", func(s *Settings) {
			s.Signed, s.Pairs = "{timestamp}:{body}", &Pairs{";", "=", "h1", "ts"}
		}, r("X-Sig", "ts="+at+";h1="+strings.Repeat("0", 64)+" ; h1="+sum(verify.SHA256, verify.Hex, secret, at+`:{"a":1}`)), ""},
		{"pairs by bars", func(s *Settings) {
			s.Algorithm, s.Pairs = "sha1", &Pairs{"&", "|", "me", ""}
		}, r("X-Sig", "other|00&me|"+sum(verify.SHA1, verify.Hex, secret, `{"a":1}`)), ""},
		{"pairs of ours only", func(s *Settings) { s.Pairs = &Pairs{"&", "|", "me", ""} },
			r("X-Sig", "other|"+sum(verify.SHA256, verify.Hex, secret, `{"a":1}`)), verify.HeaderMalformed},
		{"plain list", func(s *Settings) { s.Pairs, s.Prefix = &Pairs{Separator: ",", Assign: "="}, "v1=" },
			r("X-Sig", "v1=00, v1="+sum(verify.SHA256, verify.Hex, secret, `{"a":1}`)), ""},
		{"key in hex", func(s *Settings) { s.SecretEnc, s.Secrets = "hex", []Secret{{Value: "30313233343536373839"}} },
			r("X-Sig", sum(verify.SHA256, verify.Hex, "0123456789", `{"a":1}`)), ""},
		{"other body", func(*Settings) {}, r("X-Sig", sum(verify.SHA256, verify.Hex, secret, `{"a":2}`)), verify.SignatureMismatch},
		{"empty signature", func(*Settings) {}, r("X-Sig", ""), verify.HeaderMissing},
	} {
		s := base
		c.change(&s)
		src, err := Open(s)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := src.Verify(t.Context(), c.r); reason(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		// What we sign ourselves, we verify.
		own := request(`{"a":1}`, "X-Nonce", "n")
		if err := SignRequest(s, own); err != nil {
			t.Errorf("%s: sign: %v", c.name, err)
		}
		if _, err := src.Verify(t.Context(), own); err != nil {
			t.Errorf("%s: own: %v", c.name, err)
		}
	}
	s := base
	s.Signed = "{url}{body}"
	if !open(t, s).Traits().SignsURL || open(t, base).Traits().SignsURL {
		t.Error("SignsURL is wrong")
	}
}

// The spellings that Twilio's own library tries, and no others.
func TestTwilioURLs(t *testing.T) {
	s := settingsFor("twilio")
	src := open(t, s)
	for _, c := range []struct {
		signed, came string
		ok           bool
	}{
		{"https://h.example/x?a=1", "https://h.example/x?a=1", true},
		{"https://h.example:443/x?a=1", "https://h.example/x?a=1", true},
		{"https://h.example/x", "https://h.example:443/x", true},
		{"https://h.example/x", "https://h.example:8443/x", true},
		{"http://h.example:80/x", "http://h.example/x", true},
		{"https://h.example:8443/x", "https://h.example/x", false},
		{"https://h.example/", "https://h.example", true},
		{"https://u:p@h.example:443/x", "https://u:p@h.example/x", true},
		{"https://h.example/x?a=b%20c'", "https://h.example/x?a=b+c%27", true},
		{"https://h.example/x", "http://h.example/x", false},
		{"https://h.example/x", "https://h.example/x?a=1", false},
		{"https://h.example/x/", "https://h.example/x", false},
		{"https://[::1]:443/x", "https://[::1]/x", true},
	} {
		r := signedSample(t, s, "a1")
		r.URL = c.signed
		if err := SignRequest(s, r); err != nil {
			t.Fatal(err)
		}
		r.URL = c.came
		if _, err := src.Verify(t.Context(), r); (err == nil) != c.ok {
			t.Errorf("signed %s, came %s: %v", c.signed, c.came, err)
		}
	}
}

func TestTwilioForms(t *testing.T) {
	s := settingsFor("twilio")
	src := open(t, s)
	sign := func(body string) *Request {
		r := request(body, "Content-Type", form)
		// Fields by name, each value once and sorted, joined to the URL.
		r.Header.Set(twilioHeader, verify.Base64.Encode(verify.SHA1.Sum([]byte(s.Secrets[0].Value), []byte(r.URL+"A1A2Bx yéC"))))
		return r
	}
	for body, ok := range map[string]bool{
		"A=2&A=1&B=x+y%C3%A9&C=": true, "C=&B=x%20y%C3%A9&A=1&A=2": true, "A=1&A=2&A=2&B=x+y%C3%A9&C": true,
		"A=1&B=x+y%C3%A9&C=": false, "A=1&A=2&B=x+y%C3%A9": false,
	} {
		if _, err := src.Verify(t.Context(), sign(body)); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}

	// A JSON body is covered by its hash in the signed URL, or not at all.
	r := request(`[{"id":"1"}]`, "Content-Type", "application/json")
	if err := SignRequest(s, r); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Verify(t.Context(), r); err != nil || !strings.Contains(r.URL, "?bodySHA256=") {
		t.Errorf("%s: %v", r.URL, err)
	}
	r.Body = []byte(`[{"id":"2"}]`)
	if _, err := src.Verify(t.Context(), r); reason(err) != verify.SignatureMismatch {
		t.Errorf("other body: %v", err)
	}
	get := request("")
	get.Header.Set(twilioHeader, verify.Base64.Encode(verify.SHA1.Sum([]byte(s.Secrets[0].Value), []byte(get.URL))))
	if _, err := src.Verify(t.Context(), get); err != nil {
		t.Fatal(err)
	}
	get.Body = []byte(`{"smuggled":"in"}`)
	if _, err := src.Verify(t.Context(), get); reason(err) != verify.SignatureMismatch {
		t.Errorf("a body under a signature that does not cover it: %v", err)
	}
}
