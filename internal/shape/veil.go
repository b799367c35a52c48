package shape

import (
	"net/url"
	"strings"
)

// redacted is what stands in place of a secret, here and in stored events.
const redacted = "[redacted]"

// credentialHeaders are never shown, whatever their value came from.
var credentialHeaders = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key", "Apikey",
	"X-Auth-Token", "X-Access-Token", "X-Amz-Security-Token", "X-Goog-Api-Key", "X-Gitlab-Token",
}

// veil hides the secrets of the configuration in what is shown of a request.
type veil struct {
	secrets []string // also as they look in a URL
}

// shortest is the length from which a text is looked for: a shorter one occurs
// everywhere, and is no secret.
const shortest = 4

func newVeil(secrets []string) (v veil) {
	seen := map[string]bool{"": true}
	for _, s := range secrets {
		for _, form := range []string{s, url.PathEscape(s), url.QueryEscape(s)} {
			if len(s) >= shortest && !seen[form] {
				seen[form] = true
				v.secrets = append(v.secrets, form)
			}
		}
	}
	return v
}

// covers tells whether a header must not be shown.
func (v veil) covers(name, value string) bool {
	lower := strings.ToLower(name)
	for _, word := range []string{"token", "secret", "password", "credential", "api-key", "apikey"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	for _, s := range v.secrets {
		if strings.Contains(value, s) {
			return true
		}
	}
	return false
}

// url shows a URL without the secrets in its path and query. Its host is always
// shown: it is no secret, and the first thing that one wants to see.
func (v veil) url(u *url.URL) string {
	whole := u.String()
	start := u.Scheme + "://" + u.Host
	rest, ok := strings.CutPrefix(whole, start)
	if !ok {
		return start + "/" + redacted
	}
	for _, s := range v.secrets {
		rest = strings.ReplaceAll(rest, s, redacted)
	}
	return start + rest
}
