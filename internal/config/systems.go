package config

import (
	"context"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/internal/egress"
	"github.com/seawall-dev/seawall/seawall"
)

func (r *reader) systems(c *Config, all value) {
	policy := egress.New(c.Egress)
	all.named(func(name string, v value) {
		if !v.name(name) {
			return
		}
		o := v.open("system")
		if o.has("drop") && o.get("drop").yes() {
			if len(o.node.pairs) > 1 {
				v.failKey("leave only drop: true", "a system that is dropped has no other keys")
			}
			c.Drop = append(c.Drop, seawall.CallsTo(name))
			return
		}
		c.Systems = append(c.Systems, r.system(c, name, o, policy))
	})
	listeners := map[string]string{}
	for _, s := range c.Systems {
		v := r.places[join(all.path, s.Name)].open("system")
		v.takenOver(s.RenamedFrom, s.Name, "system", systemNames(c), func(i int) string { return c.Systems[i].RenamedFrom })
		if s.Proxy == "" {
			continue
		}
		at := v.get("proxy").open("proxy").get("listen")
		switch other := listeners[s.Proxy]; {
		case other != "":
			at.fail("each listener needs a port of its own", "the system %q listens there too", other)
		case s.Proxy == c.Node.Listen, s.Proxy == c.Node.Admin, s.Proxy == c.Node.Inner:
			at.fail("each listener needs a port of its own", "the gateway listens there already")
		}
		listeners[s.Proxy] = s.Name
	}
}

// takenOver checks that the earlier name of one of names is free.
func (o *object) takenOver(earlier, name, kind string, names []string, earlierOf func(int) string) {
	if earlier == "" {
		return
	}
	v := o.get("renamed_from")
	for i, other := range names {
		if other == earlier {
			v.fail("leave out renamed_from, or the "+kind+" of that name", "there still is a %s %q", kind, other)
		}
		if other != name && earlierOf(i) == earlier && other < name {
			v.fail("only one can take over what waits", "%q says that too", other)
		}
	}
}

func (r *reader) system(c *Config, name string, o *object, policy *egress.Policy) *System {
	if o.has("sql") {
		return &System{Name: name, URL: &url.URL{}} // noted: it is not in this version
	}
	s := &System{
		Name:        name,
		text:        o.node.String(),
		URL:         o.base(policy),
		Limit:       limit(o.get("limit")),
		Breaker:     breaker(o.get("breaker")),
		Idempotency: takesKey(o.get("idempotency")),
		Timeout:     timeouts(o.get("timeout")),
		Retry:       retry(o.get("retry")),
		Answers:     o.get("answers").size(mib, 1, 64*mib),
		Shards:      o.get("shards").number(1, 1, maxShards),
		Proxy:       address(o.get("proxy").open("proxy").get("listen"), ""),
		RenamedFrom: o.get("renamed_from").text(),
	}
	if o.has("proxy") && s.Proxy == "" {
		o.get("proxy").failKey("for example proxy: { listen: \"127.0.0.1:8083\" }", "has no address to listen on")
	}
	o.auth(c, s, policy)
	for _, v := range o.get("calls").list() {
		s.Calls = append(s.Calls, s.callRule(v))
	}
	return s
}

// base is the URL of a system, below which its requests are.
func (o *object) base(policy *egress.Policy) *url.URL {
	v := o.get("url")
	if !o.has("url") {
		v.failKey("for example https://api.example.com", "is missing")
		return &url.URL{}
	}
	u := v.remote(policy, "https://api.example.com")
	if u == nil {
		return &url.URL{}
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		v.fail("what is asked for stands in each call", "the URL of a system has no query and no fragment")
	}
	if u.User != nil {
		v.fail(`auth: { basic: { username: …, password: "${…}" } }`, "credentials of a system do not stand in its URL")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u
}

// remote is a URL that does not depend on any event, and may be called.
func (v value) remote(policy *egress.Policy, example string) *url.URL {
	s := v.text()
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.ContainsAny(u.Host, "{}") {
		v.fail("for example "+example, "%s is not a URL", v.quote(s))
		return nil
	}
	if err := policy.CheckHost(context.Background(), u.Hostname(), localhost); err != nil {
		v.fail(seawall.Hint(err), "%v", err)
	}
	return u
}

func systemNames(c *Config) (out []string) {
	for _, s := range c.Declared() {
		out = append(out, s.Name)
	}
	return out
}

// Declared are the systems without those that destinations are.
func (c *Config) Declared() (out []*System) {
	for _, s := range c.Systems {
		if s.Declared() {
			out = append(out, s)
		}
	}
	return out
}

// Callee is the system that takes the calls queued for a destination: the one
// that they name, or else the one that was renamed from it; nil if there is none,
// or if they are no calls.
func (c *Config) Callee(destination string) *System {
	name, calls := strings.CutPrefix(destination, seawall.CallsTo(""))
	if !calls {
		return nil
	}
	if s := c.systemNamed(name); s != nil {
		return s
	}
	for _, s := range c.Declared() {
		if s.RenamedFrom == name {
			return s
		}
	}
	return nil
}

// systemNamed is the declared system, or nil.
func (c *Config) systemNamed(name string) *System {
	for _, s := range c.Declared() {
		if s.Name == name {
			return s
		}
	}
	return nil
}
