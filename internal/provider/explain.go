package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Finding is a likely cause of a request's not verifying.
type Finding struct {
	Cause   string // a stable code, for example "body_changed"
	Text    string // what is the matter, in plain words
	Hint    string // what to do; may be ""
	Certain bool   // it was tried, and the signature then fits
}

// Explain says why a request does not verify, most certain cause first: it
// tries what commonly goes wrong on the way (the body written anew, another
// URL, a secret in the wrong form) and sees whether the signature then fits. Of
// a request that does verify it says so.
//
// settings are those that src was opened with. No finding holds a secret, or a
// signature that would be right.
func Explain(src Source, settings Settings, r *Request) []Finding {
	x := &explanation{src: src, settings: settings, r: r}
	ctx := context.Background()
	proof, err := src.Verify(ctx, r)
	if err == nil {
		return []Finding{{"verified", "the request verifies: " + proof, "", true}}
	}
	var e *verify.Error
	if !errors.As(err, &e) {
		return []Finding{{"error", err.Error(), "", false}}
	}
	x.s, _ = src.(*source)
	if x.s != nil {
		x.byReason(e)
	}
	if len(x.found) == 0 {
		x.add(string(e.Reason), e.Detail, "", false)
	}
	slices.SortStableFunc(x.found, func(a, b Finding) int { return rank(a) - rank(b) })
	return x.found
}

func rank(f Finding) int {
	if f.Certain {
		return 0
	}
	return 1
}

type explanation struct {
	src      Source
	s        *source
	settings Settings
	r        *Request
	found    []Finding
}

func (x *explanation) add(cause, text, hint string, certain bool) {
	x.found = append(x.found, Finding{cause, text, hint, certain})
}

func (x *explanation) byReason(e *verify.Error) {
	switch e.Reason {
	case verify.TimestampOld, verify.TimestampFuture:
		x.time(e)
	case verify.SecretExpired:
		x.add("secret_expired", e.Detail, "the sender still signs with the old secret: change it there, or give the old one a later end", true)
	case verify.HeaderMissing:
		x.missing(e)
	case verify.HeaderRepeated:
		x.add("header_repeated", e.Detail, "a proxy on the way adds it: let it pass headers on unchanged", true)
	case verify.Unavailable:
		x.add("key_unavailable", e.Detail, "this is not the sender's fault; it was asked to try again", true)
	case verify.CredentialWrong:
		x.secret()
		x.otherwise("wrong_secret", e.Detail, "compare what the sender is set to send with the source's token or password")
	case verify.HeaderMalformed:
		x.add("header_malformed", e.Detail, "", false)
		x.scheme()
	case verify.SignatureMismatch, verify.BodyUnreadable:
		x.mismatch(e)
	}
}

// mismatch looks for the one thing that, put right, makes the signature fit.
func (x *explanation) mismatch(e *verify.Error) {
	x.body()
	if x.s.traits.SignsURL {
		x.url()
	}
	x.secret()
	x.scheme()
	if len(x.found) == 0 {
		x.cut()
	}
	if len(x.found) > 0 {
		return
	}
	if x.s.traits.SignsURL {
		x.add("url_differs", "the signature covers the URL as the sender calls it; ours was "+shownURL(x.r.URL),
			"set public_url to the address that is registered with the sender", false)
	}
	text := e.Detail
	if n := len(x.s.keys); n > 0 {
		text += "; it does not fit a body written anew by a proxy either"
	}
	x.add("wrong_secret", text, "most likely the secret is that of another endpoint, account or mode (test, live): compare it with the sender's settings", false)
}

// cut looks for a body that is not all there.
func (x *explanation) cut() {
	n, err := strconv.Atoi(x.r.Header.Get("Content-Length"))
	switch have := len(x.r.Body); {
	case err == nil && n != have:
		x.add("body_cut_off", fmt.Sprintf("the capture holds %d bytes of a body of %d", have, n), "capture the whole body; then it can be said what is wrong", false)
	case have == 0 && x.r.Method == http.MethodPost:
		x.add("body_missing", "the body is empty", "something on the way dropped it, or the capture does not hold it", false)
	}
}

// fits tells whether a changed request, or the request under other keys, is
// signed rightly. The time may still be another matter, which is then told.
func (x *explanation) fits(r *Request, keys []verify.Key) bool {
	_, err := x.s.check(context.Background(), r, keys)
	if err == nil {
		return true
	}
	var e *verify.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case verify.TimestampOld, verify.TimestampFuture:
		if !slices.ContainsFunc(x.found, func(f Finding) bool { return strings.HasPrefix(f.Cause, "timestamp_") }) {
			x.time(e)
		}
		return true
	case verify.SecretExpired:
		return true
	}
	return false
}

func (x *explanation) time(e *verify.Error) {
	hint := "the sender's request was held up on the way, or the capture is verified later than it arrived: give it its time as now; otherwise check this machine's clock"
	if e.Reason == verify.TimestampFuture {
		hint = "one of the two clocks is wrong: check that this machine's is synchronised"
	}
	x.add(string(e.Reason), e.Detail, hint, true)
}

// otherwise adds a finding if there is none yet.
func (x *explanation) otherwise(cause, text, hint string) {
	if len(x.found) == 0 {
		x.add(cause, text, hint, false)
	}
}

// missing looks for the signature under other names.
func (x *explanation) missing(e *verify.Error) {
	var like []string
	for name := range x.r.Header {
		if name == x.s.signature || !looksLikeProof(name) {
			continue
		}
		moved := *x.r
		moved.Header = x.r.Header.Clone()
		moved.Header[x.s.signature] = x.r.Header[name]
		if x.s.signature != "" && x.fits(&moved, x.s.keys) {
			x.add("header_renamed", fmt.Sprintf("the header %s holds what should be in %s, and it fits", name, x.s.signature),
				"something on the way renames it, or the source's header: is to be "+name, true)
			return
		}
		like = append(like, name)
	}
	slices.Sort(like)
	text := e.Detail
	if len(like) > 0 {
		text += "; headers that look like it: " + strings.Join(like, ", ")
	}
	x.add("header_missing", text, x.missingHint(), true)
}

func (x *explanation) missingHint() string {
	h := x.r.Header
	if x.settings.Provider == github.Name && h.Get("X-Hub-Signature") != "" {
		return "the SHA-1 signature alone proves too little: let the SHA-256 header through, or update the server that sends it"
	}
	for _, other := range catalogue {
		for _, name := range signatureHeaders[other.Name] {
			if other.Name != x.settings.Provider && h.Get(name) != "" {
				return fmt.Sprintf("%s is what %s sends: is this source's provider %s?", name, other.Title, other.Name)
			}
		}
	}
	return "the sender has no secret set, or a proxy drops the header"
}

// signatureHeaders are those by which a provider is recognised.
var signatureHeaders = map[string][]string{
	"stripe": {stripeHeader}, "github": {gitHubHeader}, "shopify": {shopifyHeader}, "slack": {slackHeader},
	"twilio": {twilioHeader}, "discord": {discordHeader}, "svix": {"Svix-Signature"}, "standardwebhooks": {"Webhook-Signature"},
}

func looksLikeProof(header string) bool {
	name := strings.ToLower(header)
	for _, part := range []string{"sig", "hmac", "hash", "digest", "token", "auth", "key", "secret"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
