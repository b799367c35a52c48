package config

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/egress"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

func (r *reader) destinations(c *Config, all value) {
	policy := egress.New(c.Egress)
	all.named(func(name string, v value) {
		if !v.name(name) {
			return
		}
		o := v.open("destination")
		if o.has("drop") && o.get("drop").yes() {
			if len(o.node.pairs) > 1 {
				v.failKey("leave only drop: true", "a destination that is dropped has no other keys")
			}
			c.Drop = append(c.Drop, name)
			return
		}
		c.Destinations = append(c.Destinations, destination(name, o, policy))
	})
	for _, d := range c.Destinations {
		r.renamed(c, d, all)
	}
}

// renamed checks that the earlier name is free.
func (r *reader) renamed(c *Config, d *Destination, all value) {
	if d.RenamedFrom == "" {
		return
	}
	v := r.places[join(all.path, d.Name)].open("destination").get("renamed_from")
	for _, other := range c.Destinations {
		if other.Name == d.RenamedFrom {
			v.fail("", "there still is a destination %q", d.RenamedFrom)
		}
		if other != d && other.RenamedFrom == d.RenamedFrom && other.Name < d.Name {
			v.fail("", "%q says that too", other.Name)
		}
	}
}

// maxShards bounds the lanes of one destination: each is a lease to renew.
const maxShards = 64

func destination(name string, o *object, policy *egress.Policy) *Destination {
	d := &Destination{
		Name:              name,
		text:              o.node.String(),
		Headers:           headers(o.get("headers")),
		Body:              o.get("body").code(),
		Forward:           o.get("forward").oneOf("", "original") == "original",
		Sign:              sign(o.get("sign")),
		IdempotencyHeader: "Idempotency-Key",
		Timeout:           timeouts(o.get("timeout")),
		Retry:             retry(o.get("retry")),
		Concurrency:       o.get("concurrency").number(16, 1, 1000),
		Shards:            o.get("shards").number(1, 1, maxShards),
		Unsafe:            o.get("repeatable").oneOf("true", "true", "false") == "false",
		RenamedFrom:       o.get("renamed_from").text(),
	}
	if d.Shards > d.Concurrency {
		o.get("shards").fail("each shard has its share of concurrency, one attempt at least: raise concurrency, or take fewer shards",
			"%d shards are more than concurrency, %d", d.Shards, d.Concurrency)
	}
	o.url(d, policy)
	o.method(d)
	key := o.get("idempotency").open("idempotency").get("header")
	if s := key.text(); s != "" && key.headerName(s) {
		d.IdempotencyHeader = s
	}
	if d.Forward && d.Body != nil {
		o.get("body").failKey("leave out one of the two", "where the original is forwarded there is no other body")
	}
	return d
}

func (o *object) url(d *Destination, policy *egress.Policy) {
	v := o.get("url")
	if !o.has("url") {
		v.failKey("", "is missing")
		return
	}
	if d.URL = v.template(); d.URL == nil {
		return
	}
	prefix := d.URL.Prefix()
	scheme, rest, ok := strings.Cut(prefix, "://")
	if !ok || scheme != "http" && scheme != "https" {
		v.fail("for example https://orders.example.com/hooks", "does not begin with https:// or http://")
		return
	}
	if !d.URL.Constant() && !strings.ContainsAny(rest, "/?") {
		v.fail("the host has to be written out, and a / after it", "the host of a destination cannot come from an event")
		return
	}
	u, err := url.Parse(prefix)
	if err != nil || u.Hostname() == "" {
		v.fail("", "not a URL")
		return
	}
	if _, literal := u.User.Password(); literal && v.resolve(nil).refs == 0 {
		v.fail(secretHint, "a secret must not stand in the file itself")
	}
	if err := policy.CheckHost(context.Background(), u.Hostname(), localhost); err != nil {
		v.fail(seawall.Hint(err), "%v", err)
	}
}

// localhost looks up the names that mean this machine. All others are left to
// the moment of sending: their addresses change, and a check needs no network.
func localhost(_ context.Context, _, host string) ([]netip.Addr, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	return []netip.Addr{anyPublic}, nil
}

var anyPublic = netip.AddrFrom4([4]byte{1, 1, 1, 1})

func (o *object) method(d *Destination) {
	v := o.get("method")
	if v.node != nil {
		d.Method = v.template()
	}
	if d.Method == nil {
		v.node = &node{doc: o.r.document, text: http.MethodPost, style: folded}
		d.Method = v.template()
		return
	}
	if m := d.Method.Prefix(); d.Method.Constant() && !(isToken(m) && strings.ToUpper(m) == m) {
		v.fail("one like POST, PUT or PATCH", "%s is not a method", v.quote(m))
	}
}

func sign(v value) []provider.Secret {
	o := v.open("sign")
	noted := len(v.r.problems)
	out := o.secrets("secret", "secrets")
	if len(v.r.problems) > noted {
		return out
	}
	at := o.get("secret")
	if o.has("secrets") {
		at = o.get("secrets")
	}
	if o.node != nil && len(out) == 0 {
		v.failKey(secretHint, "has no secret")
	}
	for _, s := range out {
		if key, err := verify.StandardKey(s.Value); err != nil || len(key) < leastKey {
			at.failKey("whsec_ and the base64 of 32 random bytes", "the secret is not one of Standard Webhooks")
		}
	}
	return out
}

const leastKey = 16 // bytes that a Standard Webhooks secret decodes to; the specification asks for 24

func timeouts(v value) Timeouts {
	t := Timeouts{Connect: 5 * time.Second, TLS: 5 * time.Second, Whole: 30 * time.Second}
	const least, most = 10 * time.Millisecond, 15 * time.Minute
	if v.given() && v.node.kind == scalar {
		t.Whole = v.duration(t.Whole, least, most)
		v.node = nil
	}
	o := v.open("timeout")
	t.Connect = o.get("connect").duration(t.Connect, least, most)
	t.TLS = o.get("tls").duration(t.TLS, least, most)
	t.Whole = o.get("whole").duration(t.Whole, least, most)
	t.Header = o.get("header").duration(t.Whole, least, most)
	return t
}

func retry(v value) Retry {
	o := v.open("retry")
	r := Retry{
		For:   o.get("for").duration(75*time.Hour, 0, 365*day),
		Max:   o.get("max").number(10, 0, 1000),
		First: o.get("first").duration(5*time.Second, 100*time.Millisecond, day),
		Cap:   o.get("cap").duration(day, 100*time.Millisecond, 30*day),
	}
	if r.First > r.Cap {
		o.get("first").fail("", "%s is longer than cap, %s", spell(r.First), spell(r.Cap))
	}
	return r
}

func headers(v value) (out []Header) {
	v.named(func(name string, h value) {
		if !h.headerName(name) {
			return
		}
		if why := ours(name); why != "" {
			h.failKey(why, "the gateway sets %s itself", name)
			return
		}
		t := h.template()
		if t == nil {
			return
		}
		if credential[http.CanonicalHeaderKey(name)] && t.Constant() && h.resolve(nil).refs == 0 {
			h.fail(secretHint, "a secret must not stand in the file itself")
		}
		if !isHeaderText(t.Prefix()) {
			h.fail("", "a line break or other control character, which a header cannot hold")
		}
		out = append(out, Header{Name: http.CanonicalHeaderKey(name), Value: t})
	})
	return out
}

// credential are headers that hold secrets and nothing else.
var credential = map[string]bool{
	"Authorization": true, "Proxy-Authorization": true, "Cookie": true, "X-Api-Key": true, "Api-Key": true, "X-Auth-Token": true,
}

// ours says why a header is not for the configuration, or "".
func ours(name string) string {
	switch lower := strings.ToLower(name); {
	case lower == "idempotency-key":
		return "to send it under another name: idempotency: { header: NAME }"
	case strings.HasPrefix(lower, "webhook-"):
		return "to sign: sign: { secret: … }"
	case strings.HasPrefix(lower, "seawall-"), lower == "traceparent":
		return "choose another name"
	case lower == "host", lower == "content-length", lower == "transfer-encoding", lower == "connection",
		lower == "keep-alive", lower == "upgrade", lower == "te", lower == "trailer", lower == "expect",
		strings.HasPrefix(lower, "proxy-"):
		return "it belongs to the connection"
	}
	return ""
}

func (v value) headerName(name string) bool {
	if isToken(name) {
		return true
	}
	v.failKey("", "%q is not the name of a header", clip(name))
	return false
}

func (v value) headerText() bool {
	if isHeaderText(v.text()) {
		return true
	}
	v.fail("", "a line break or other control character, which a header cannot hold")
	return false
}

// isToken is RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func isHeaderText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}
