package provider

import (
	"errors"
	"net/http"
	"testing"

	"github.com/seawall-dev/seawall/internal/verify"
)

// fuzzed sources hold secrets that the fuzzer does not know.
func fuzzed(f *testing.F) []Source {
	var out []Source
	for _, info := range Names() {
		if info.Name != "none" {
			out = append(out, open(f, settingsFor(info.Name)))
		}
	}
	pairs := settingsFor("hmac")
	pairs.Signed, pairs.Pairs = "{timestamp}.{url}.{path}.{id}.{body}", &Pairs{",", "=", "v1", "t"}
	query := settingsFor("token")
	query.Query = "key"
	return append(out, open(f, pairs), open(f, query))
}

// fuzzHeaders are all headers that any scheme reads, filled from one text.
func fuzzHeaders(value, at string) http.Header {
	h := http.Header{}
	for _, names := range signatureHeaders {
		for _, n := range names {
			h.Set(n, value)
		}
	}
	for _, n := range []string{"X-Sig", "Authorization", "X-GitHub-Event", "X-Shopify-Topic", "Idempotency-Key"} {
		h.Set(n, value)
	}
	for _, n := range []string{"Webhook-Timestamp", "Svix-Timestamp", slackTime, discordTime, "Webhook-Id", "Svix-Id"} {
		h.Set(n, at)
	}
	return h
}

// Nothing that is made without the secret is accepted, and nothing panics.
func FuzzVerify(f *testing.F) {
	sources := fuzzed(f)
	f.Add("v1,"+"AAAA", "1795400000", "https://h/x?key=a", []byte(`{}`))
	for _, info := range Names() {
		r := signedSample(f, settingsFor(info.Name), "a1")
		for name, values := range r.Header {
			if name != authorization { // a token is right over any body
				f.Add(values[0], "1795400000", r.URL, []byte("another body"))
			}
		}
	}
	f.Add("t=1795400000,v1=,v1=00,v0=00", "", "", []byte{})
	f.Add("Basic Og==", "-1", "://", []byte("payload=%"))
	f.Fuzz(func(t *testing.T, value, at, url string, body []byte) {
		r := &Request{Method: http.MethodPost, URL: url, Header: fuzzHeaders(value, at), Body: body, Now: testNow}
		for _, src := range sources {
			_, ok, err := src.Handshake(t.Context(), r)
			if ok && err == nil {
				t.Fatalf("%s answers an unsigned handshake", src.Traits().Name)
			}
			_, err = src.Verify(t.Context(), r)
			var e *verify.Error
			if err == nil {
				t.Fatalf("%s accepts %q", src.Traits().Name, value)
			}
			if err != nil && !errors.As(err, &e) {
				t.Fatalf("%s: an error of another kind: %v", src.Traits().Name, err)
			}
		}
	})
}

// Whatever was verified becomes at least one event with an identity, or is an
// empty batch; what is read is the same every time.
func FuzzIdentify(f *testing.F) {
	sources := fuzzed(f)
	for _, info := range Names() {
		r := signedSample(f, settingsFor(info.Name), "a1")
		f.Add("issues", r.Body)
	}
	f.Add("push", []byte(`[{"id":"1"},{}]`))
	f.Add("pull_request", []byte(`{"id":"\ud800","id":1e999,"data":{"object":null}}`))
	f.Add(form, []byte(`payload=%7B%22trigger_id%22%3A1%7D&MessageSid=1`))
	f.Fuzz(func(t *testing.T, value string, body []byte) {
		h := fuzzHeaders(value, value)
		h.Set("Content-Type", value)
		r := &Request{Method: http.MethodPost, URL: "https://h/x", Header: h, Body: body, Now: testNow}
		for _, src := range sources {
			items, problem := src.Identify(r)
			again, same := src.Identify(r)
			if len(items) == 0 && src.Traits().Name != "twilio" || len(items) != len(again) || problem != same {
				t.Fatalf("%s: %d items, then %d", src.Traits().Name, len(items), len(again))
			}
			for i, it := range items {
				if (it.ID == "") != it.Keyless || it.Derived && it.Keyless || it.ID != again[i].ID {
					t.Fatalf("%s: %+v, then %+v", src.Traits().Name, it, again[i])
				}
			}
			src.Accepted(r)
		}
	})
}
