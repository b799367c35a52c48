package shape

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
)

// destination is a configured one with what can be prepared.
type destination struct {
	*config.Destination
	fixed   *target  // where nothing in the URL comes from the event
	signing []string // secrets, where none of them ever expires
	text    bool     // the body is not JSON, but the text that its expression gives
	keyName string   // canonical name of the idempotency header
}

func newDestination(c *config.Destination, veil veil) *destination {
	d := &destination{Destination: c, keyName: "Idempotency-Key"}
	if c.IdempotencyHeader != "" {
		d.keyName = http.CanonicalHeaderKey(c.IdempotencyHeader)
	}
	if c.URL.Constant() {
		if t, err := parseTarget(c.URL.Prefix(), veil); err == nil {
			d.fixed = &t
		}
	}
	for _, s := range c.Sign {
		if !s.Expires.IsZero() {
			d.signing = nil
			break
		}
		d.signing = append(d.signing, s.Value)
	}
	for _, h := range c.Headers {
		if strings.EqualFold(h.Name, "Content-Type") && h.Value.Constant() {
			d.text = !isJSON(h.Value.Prefix())
		}
	}
	return d
}

// secrets are those that sign at a time.
func (d *destination) secrets(now time.Time) []string {
	if d.signing != nil {
		return d.signing
	}
	var valid []string
	for _, s := range d.Sign {
		if s.Expires.IsZero() || now.Before(s.Expires) {
			valid = append(valid, s.Value)
		}
	}
	return valid
}

// target is where a request goes.
type target struct {
	url         *url.URL // without credentials
	shown       string   // without secrets
	credentials string   // the value of Authorization, if the URL had any
}

func (w *work) target(veil veil) (target, error) {
	at := w.dest.URL
	switch {
	case w.Request != nil:
		at = w.Request.URL
	case w.dest.fixed != nil:
		return *w.dest.fixed, nil
	}
	raw, err := w.expand(at, expr.URL)
	if err != nil {
		return target{}, w.fault("url", err)
	}
	t, err := parseTarget(raw, veil)
	if err != nil {
		return target{}, w.fault("url", err)
	}
	return t, nil
}

func parseTarget(raw string, veil veil) (t target, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return t, errors.New("not a URL") // the error of net/url quotes it
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return t, fmt.Errorf("scheme %q is neither http nor https", clip(u.Scheme))
	}
	if u.Hostname() == "" {
		return t, errors.New("no host")
	}
	if u.User != nil {
		password, _ := u.User.Password()
		t.credentials = basic(u.User.Username(), password)
		u.User = nil
	}
	u.Fragment, u.RawFragment = "", ""
	t.url, t.shown = u, veil.url(u)
	return t, nil
}
