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
		d := &Destination{Name: name, text: o.node.String()}
		c.Destinations = append(c.Destinations, d)
		d.read(c, o, policy)
	})
	for i := range c.Destinations {
		d := c.Destinations[i]
		r.places[join(all.path, d.Name)].open("destination").takenOver(d.RenamedFrom, d.Name, "destination", destinationNames(c),
			func(i int) string { return c.Destinations[i].RenamedFrom })
	}
	r.fallbacks(c, all)
}

// maxShards bounds the lanes of one destination: each is a lease to renew.
const maxShards = 64

func (d *Destination) read(c *Config, o *object, policy *egress.Policy) {
	d.Headers = headers(o.get("headers"))
	d.Body = o.get("body").code(atSend...)
	d.Forward = o.get("forward").oneOf("", "original") == "original"
	d.Sign = sign(o.get("sign"))
	d.IdempotencyHeader = usualKeyHeader
	d.Timeout = timeouts(o.get("timeout"))
	d.Retry = retry(o.get("retry"))
	d.Concurrency = o.get("concurrency").number(16, 1, 1000)
	d.Fallback = o.get("fallback").fallback()
	d.RenamedFrom = o.get("renamed_from").text()
	o.method(d)
	if d.Forward && d.Body != nil {
		o.get("body").failKey("leave out one of the two", "where the original is forwarded there is no other body")
	}
	s := o.system(c, d, policy)
	if o.has("upsert") {
		o.upsert(d, s)
	} else {
		o.get("upsert").open("upsert")
	}
	for _, name := range s.setsHeaders() {
		for _, h := range d.Headers {
			if strings.EqualFold(h.Name, name) {
				o.get("headers").failKey("leave it out here", "the authentication of %s sets %s itself", s.Name, name)
			}
		}
	}
	d.repeatable(o, s)
}

// system is what a destination is a request on: a declared one, or a small one
// that its url makes of it.
func (o *object) system(c *Config, d *Destination, policy *egress.Policy) *System {
	named, path := o.get("system"), o.get("path")
	own := &System{
		Name:        d.Name,
		Limit:       limit(o.get("limit")),
		Breaker:     breaker(o.get("breaker")),
		Idempotency: o.get("idempotency").ownKey(d),
		Timeout:     d.Timeout,
		Retry:       d.Retry,
		Shards:      o.get("shards").number(1, 1, maxShards),
	}
	o.auth(c, own, policy)
	d.System, d.Shards = d.Name, own.Shards
	if !o.has("system") && o.has("upsert") && !o.has("url") {
		return own // noted, where it says so
	}
	if !o.has("system") {
		if d.Shards > d.Concurrency {
			o.get("shards").fail("each shard has its share of concurrency, one attempt at least: raise concurrency, or take fewer shards",
				"%d shards are more than concurrency, %d", d.Shards, d.Concurrency)
		}
		o.url(d, policy)
		if o.has("path") {
			path.failKey("url holds the path too", "beside url")
		}
		if s := c.systemNamed(d.Name); s != nil {
			o.value().failKey("give one of the two another name, or say system: "+s.Name+" in place of url",
				"a destination with a url of its own is a system of that name, and there is one")
		}
		c.Systems = append(c.Systems, own)
		return own
	}
	if o.has("url") {
		o.get("url").failKey("path says where on the system; or leave out system", "beside system")
	}
	for _, key := range []string{"auth", "tls", "limit", "breaker", "shards", "idempotency"} {
		if o.has(key) {
			o.get(key).failKey("say it under systems", "belongs to the system: it holds for all that is sent there")
		}
	}
	name := named.text()
	if !named.refersTo(name, "system", systemNames(c)) {
		path.below("", atSend...)
		return own
	}
	s := c.systemNamed(name)
	d.System, d.Shards = s.Name, max(s.Shards, 1)
	if s.Idempotency.Header != "" {
		d.IdempotencyHeader = s.Idempotency.Header
	}
	switch {
	case o.has("upsert"):
	case o.has("path"):
		d.URL = path.below(s.URL.String(), atSend...)
	default:
		path.failKey("for example path: /orders/{.id}", "is missing: where on the system")
	}
	return s
}

// repeatable says whether a request is safe to repeat, and what follows if not.
// A webhook is: it carries an id that stays the same. A request of our own on a
// system is by its method, or where it is said to be.
func (d *Destination) repeatable(o *object, s *System) {
	v := o.get("repeatable")
	said := v.oneOf("", "true", "false")
	d.Unsafe = said == "false" || said == "" && s.Declared() && !(d.Method.Constant() && idempotent[d.Method.Prefix()])
	base := ""
	if s.Declared() {
		base = s.URL.String()
	} else if d.URL != nil {
		base = origin(d.URL.Prefix())
	}
	d.OnUnknown, d.Check = o.doubts(asker{base: base, takesKey: s.Idempotency.Header != "", scope: atSend, what: "it"})
	switch {
	case d.Upsert != nil:
		// An update says what the record is to be, and so is repeatable unless it is
		// said not to be. OnUnknown is about the creation alone.
		d.Unsafe, d.Check = said == "false", nil
	case !d.Unsafe:
		o.needless("it is repeatable: what nobody knows the outcome of is tried again")
		d.OnUnknown, d.Check = nil, nil
	case d.OnUnknown == nil:
		d.OnUnknown = UsualUnknown(s.Idempotency.Header != "", d.Check != nil)
	}
}

// ownKey is how the receiver of a destination's own url takes the key: where it
// is told for how long, it is one that recognises what is repeated.
func (v value) ownKey(d *Destination) Idempotency {
	o := v.open("idempotency")
	key := o.get("header")
	if s := key.text(); s != "" && key.headerName(s) {
		d.IdempotencyHeader = s
	}
	valid := o.get("valid").duration(0, time.Second, 365*day)
	if valid == 0 {
		return Idempotency{}
	}
	return Idempotency{Header: d.IdempotencyHeader, Valid: valid}
}

func (o *object) url(d *Destination, policy *egress.Policy) {
	v := o.get("url")
	if !o.has("url") {
		v.failKey("url, or system and path", "is missing")
		return
	}
	if d.URL = v.template(atSend...); d.URL == nil {
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
		d.Method = v.template(atSend...)
	}
	if d.Method == nil {
		v.node = &node{doc: o.r.document, text: http.MethodPost, style: folded}
		d.Method = v.template(atSend...)
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
		t := h.template(atSend...)
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
