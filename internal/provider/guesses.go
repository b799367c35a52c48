package provider

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// What else than the body may be other than the sender has it: the URL, the
// secret's form, a generic scheme's description.

// url tries the addresses that the sender may have called.
func (x *explanation) url() {
	for _, guess := range urlGuesses(x.r) {
		if guess == x.r.URL {
			continue
		}
		changed := *x.r
		changed.URL = guess
		if !x.fits(&changed, x.s.keys) {
			continue
		}
		text := fmt.Sprintf("the URL differs: the signature fits %s, and ours was %s", shownURL(guess), shownURL(x.r.URL))
		hint := "register the address exactly as it is called, slash and query included"
		if base(guess) != base(x.r.URL) {
			hint = "set public_url: " + base(guess)
		}
		x.add("url_differs", text, hint, true)
		return
	}
}

func urlGuesses(r *Request) []string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil
	}
	authority, rest := cutAuthority(r.URL)
	path, query, _ := strings.Cut(rest, "?")
	hosts := []string{authority, u.Hostname()}
	for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "Host"} {
		if h := r.Header.Get(name); h != "" {
			hosts = append(hosts, h)
		}
	}
	paths := []string{path, strings.TrimSuffix(path, "/"), path + "/"}
	queries := []string{"", "?" + query}
	if query != "" {
		slices.Reverse(queries)
	}
	var out []string
	for _, scheme := range []string{u.Scheme, "https", "http"} {
		for _, host := range hosts {
			for _, path := range paths {
				for _, query := range queries {
					out = append(out, scheme+"://"+host+path+query)
				}
			}
		}
	}
	return out
}

// base is what public_url would be.
func base(raw string) string {
	scheme, _, _ := strings.Cut(raw, "://")
	authority, _ := cutAuthority(raw)
	return scheme + "://" + authority
}

// shownURL is the URL without the values in its query, which may be secret.
func shownURL(raw string) string {
	front, query, ok := strings.Cut(raw, "?")
	if !ok {
		return front
	}
	var names []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name+"=…")
	}
	return front + "?" + strings.Join(names, "&")
}

// secret tries the configured secrets in other forms.
func (x *explanation) secret() {
	values := x.settings.Secrets
	if len(x.settings.Tokens) > 0 {
		values = x.settings.Tokens
	}
	for i, s := range values {
		for _, g := range secretGuesses(s.Value) {
			if len(g.key) == 0 || slices.ContainsFunc(x.s.keys, func(k verify.Key) bool { return string(k.Bytes) == string(g.key) }) {
				continue
			}
			if !x.fits(x.r, []verify.Key{{Bytes: g.key}}) {
				continue
			}
			which := "the secret"
			if len(values) > 1 {
				which = fmt.Sprintf("secret %d of %d", i+1, len(values))
			}
			x.add("secret_form", fmt.Sprintf("%s is right but for its form: the signature fits it %s", which, g.text), g.hint, true)
			return
		}
	}
}

type secretGuess struct {
	text string
	key  []byte
	hint string
}

func secretGuesses(s string) []secretGuess {
	const other = "the sender uses it otherwise than the provider does: is the provider right?"
	bare := strings.TrimPrefix(s, verify.SecretPrefix)
	out := []secretGuess{
		// First, for the secret with nothing trimmed from it is the same bytes.
		{"as it is written, not decoded", []byte(s), other},
		{"with a line break at its end", []byte(s + "\n"), "the sender's copy ends with a line break: enter it there again without"},
		{"with CR LF at its end", []byte(s + "\r\n"), "the sender's copy ends with a line break: enter it there again without"},
		{"with a space at its end", []byte(s + " "), "the sender's copy ends with a space: enter it there again without"},
		{"with a space before it", []byte(" " + s), "the sender's copy begins with a space: enter it there again without"},
		{"without the spaces around it", []byte(strings.TrimSpace(s)), "take the spaces or line breaks away from the setting"},
		{"without the quotes around it", []byte(strings.Trim(s, `"'`)), "take the quotes away from the setting"},
		{"without the prefix whsec_", []byte(bare), other},
		{"with the prefix whsec_", []byte(verify.SecretPrefix + bare), "put whsec_ before it"},
		{"in upper case", []byte(strings.ToUpper(s)), "letters count: copy it from the sender again"},
		{"in lower case", []byte(strings.ToLower(s)), "letters count: copy it from the sender again"},
		{"with the word Bearer before it", []byte("Bearer " + s), "the sender sends it as Authorization: Bearer, in another header"},
	}
	for e, hint := range map[verify.Encoding]string{
		verify.Hex:       "for a generic source: secret_encoding: hex",
		verify.Base64:    "for a generic source: secret_encoding: base64",
		verify.Base64URL: "for a generic source: secret_encoding: base64url",
	} {
		if b, err := e.Decode(bare); err == nil {
			out = append(out, secretGuess{"decoded as " + string(e), b, hint})
		}
		out = append(out, secretGuess{"encoded as " + string(e), []byte(e.Encode([]byte(s))), "enter it as the sender shows it"})
	}
	return out
}

// scheme tries other descriptions of a generic HMAC.
func (x *explanation) scheme() {
	if x.settings.Provider != genericHMAC.Name {
		return
	}
	value := x.r.Header.Get(x.settings.Header)
	prefixes := []string{x.settings.Prefix, ""}
	if name, _, ok := strings.Cut(value, "="); ok && len(name) <= 10 {
		prefixes = append(prefixes, name+"=")
	}
	templates := []string{x.settings.Signed, "{body}"}
	if x.settings.Timestamp.Header != "" || x.settings.Pairs != nil && x.settings.Pairs.Timestamp != "" {
		templates = append(templates, "{timestamp}.{body}", "{timestamp}:{body}", "{timestamp}{body}", "{body}{timestamp}", "v0:{timestamp}:{body}")
	}
	templates = append(templates, "{url}{body}", "{method}{url}{body}")
	for _, prefix := range prefixes {
		for _, template := range templates {
			for _, a := range verify.Algorithms {
				for _, e := range []verify.Encoding{verify.Hex, verify.Base64, verify.Base64URL} {
					guess := x.settings
					guess.Prefix, guess.Signed, guess.Algorithm, guess.Encoding = prefix, template, a.Name, string(e)
					if x.described(guess) {
						return
					}
				}
			}
		}
	}
}

func (x *explanation) described(guess Settings) bool {
	src, err := openHMAC(guess)
	if err != nil || !x.with(src) {
		return false
	}
	x.add("scheme_differs", fmt.Sprintf("the secret is right, but the source describes the scheme otherwise: the signature fits algorithm %s, encoding %s, prefix %q, signed %q",
		guess.Algorithm, guess.Encoding, guess.Prefix, firstOf(guess.Signed, "{body}")), "set these four on the source", true)
	return true
}

// with tells whether the request fits another source.
func (x *explanation) with(src *source) bool {
	other := explanation{src: src, s: src, r: x.r, found: x.found}
	fits := other.fits(x.r, src.keys)
	x.found = other.found
	return fits
}
