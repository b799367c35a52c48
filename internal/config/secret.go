package config

import (
	"time"

	"github.com/seawall-dev/seawall/internal/provider"
)

const (
	secretHint  = `write "${NAME}" and set the environment variable, or file:PATH`
	leastSecret = 8 // bytes; providers ask for more where their secrets are longer
)

// secret is a text that the file may only refer to.
func (v value) secret() string {
	if !v.given() || !v.scalar() {
		return v.text() // notes what is wrong
	}
	r := v.resolve(nil)
	switch {
	case !r.ok:
		return ""
	case r.refs == 0:
		v.fail(secretHint, "a secret must not stand in the file itself")
	case len(r.text) < leastSecret:
		v.fail("", "what it refers to is too short for a secret: at least %d bytes", leastSecret)
	}
	return r.text
}

// expiring is a secret, or one with the end of its time.
func (v value) expiring() provider.Secret {
	if !v.given() || v.node.kind != mapping {
		return provider.Secret{Value: v.secret()}
	}
	o := v.open("secret")
	if !o.has("value") {
		v.fail(secretHint, "has no value")
	}
	s := provider.Secret{Value: o.get("value").secret(), Expires: o.get("expires").moment()}
	if !s.Expires.IsZero() && !v.r.opt.Now().Before(s.Expires) {
		v.warn("its time ended %s: it is not used any more", s.Expires.Format(time.RFC3339))
	}
	return s
}

// secrets are those under the key for one or the key for several.
func (o *object) secrets(one, several string) (out []provider.Secret) {
	single, list := o.get(one), o.get(several)
	if o.has(one) && o.has(several) {
		list.failKey("several go into "+several+", the newest first", "beside %s", one)
		return nil
	}
	if o.has(one) {
		return append(out, single.expiring())
	}
	for _, item := range list.list() {
		out = append(out, item.expiring())
	}
	if o.has(several) && len(out) == 0 {
		list.failKey(secretHint, "is empty")
	}
	return out
}

// texts are those under the key for one or the key for several.
func (o *object) texts(one, several string) (out []string) {
	single, list := o.get(one), o.get(several)
	if o.has(one) && o.has(several) {
		list.failKey("several go into "+several, "beside %s", one)
	}
	if s := single.text(); s != "" {
		out = append(out, s)
	}
	for _, item := range list.list() {
		if s := item.text(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// moment is a day (its start in UTC) or a time.
func (v value) moment() time.Time {
	s := v.text()
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	v.fail("for example 2026-12-01, or 2026-12-01T18:00:00Z", "%s is not a time", v.quote(s))
	return time.Time{}
}
