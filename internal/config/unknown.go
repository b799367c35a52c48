package config

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

// asker is what a check belongs to.
type asker struct {
	base     string // URL that its path is joined to; "" if that is not known
	takesKey bool
	scope    []string // of its path
	what     string   // takes the key, for messages
}

// doubts reads on_unknown and check. Where they say nothing, both are nil.
func (o *object) doubts(a asker) ([]OnUnknown, *Check) {
	check := o.get("check").check(a)
	v := o.get("on_unknown")
	var out []OnUnknown
	for _, item := range v.list() {
		word := item.oneOf("", unknowns...)
		if word == "" {
			continue
		}
		u := OnUnknown(slices.Index(unknowns, word))
		switch {
		case slices.Contains(out, u):
			item.fail("each once", "%s is there already", word)
			continue
		case slices.Contains(out, UnknownHold):
			item.fail("hold comes last", "nothing follows a hold: it is a person's then")
		case u == UnknownRetry && !a.takesKey:
			item.fail("idempotency: { header: Idempotency-Key, valid: 24h } says that it recognises a repeated request; repeatable: true that it need not",
				"%s takes no key, so that a repeated request might take effect twice", a.what)
		case u == UnknownCheck && !o.has("check"):
			item.fail("check: { path: …, found: … }", "there is no check")
		}
		out = append(out, u)
	}
	switch {
	case v.given() && v.node.kind == sequence && len(v.node.items) == 0:
		v.fail("for example [retry, check, hold]", "says nothing")
	case len(out) > 0 && !slices.Contains(out, UnknownHold):
		out = append(out, UnknownHold)
	}
	if o.has("check") && o.has("on_unknown") && !slices.Contains(out, UnknownCheck) {
		o.get("check").failKey("on_unknown: [check, hold]", "on_unknown never asks it")
	}
	return out, check
}

var unknowns = []string{"retry", "check", "hold"}

func (v value) check(a asker) *Check {
	o := v.open("check")
	path, found := o.needed("path", "for example /orders/{.id}"), o.needed("found", "an expression on the answer: what shows that it took effect")
	answer := append(slices.Clone(a.scope), expr.ResponseVar)
	c := &Check{
		Method: o.get("method").oneOf(http.MethodGet, http.MethodGet, http.MethodHead, http.MethodPost),
		URL:    path.below(a.base, a.scope...),
		Body:   o.get("body").code(a.scope...),
		Found:  found.code(answer...),
		Absent: o.get("absent").code(answer...),
		After:  o.get("after").duration(5*time.Second, 0, day),
		Tries:  o.get("tries").number(5, 1, 100),
	}
	for _, key := range []string{"found", "absent"} {
		if code := map[string]*expr.Code{"found": c.Found, "absent": c.Absent}[key]; code != nil && code.Assigns() {
			o.get(key).fail("to compare write ==", "= assigns: this condition would always hold")
		}
	}
	if c.Body != nil && c.Method != http.MethodPost {
		o.get("body").fail("add method: POST", "only a check by POST sends a body")
	}
	if !v.given() {
		return nil
	}
	return c
}

// below is a template of a path, joined to the URL that it is below.
func (v value) below(base string, scope ...string) *expr.Template {
	path := v.template(scope...)
	if path == nil {
		return nil
	}
	if !strings.HasPrefix(path.Prefix(), "/") {
		v.fail("for example /orders/{.id}", "a path begins with a /")
		return nil
	}
	r := v.resolve(braces.Replace)
	t, err := expr.CompileTemplate(braces.Replace(base)+r.text, scope...)
	if err != nil {
		v.fail("", "%v", err)
		return nil
	}
	if r.refs > 0 {
		t = t.Shown(base + v.node.text)
	}
	return t
}

var braces = strings.NewReplacer("{", "{{", "}", "}}")

// callRule reads one of a system's rules for calls.
func (s *System) callRule(v value) CallRule {
	o := v.open("call")
	r := CallRule{AssignKey: o.get("assign_key").yes()}
	r.Method, r.Path = o.needed("match", "for example POST /v1/payments, or /v1/payments/* for any method").match()
	if at := o.get("repeatable"); at.oneOf("", "true", "false") != "" {
		yes := at.text() == "true"
		r.Repeatable = &yes
	}
	if o.has("timeout") {
		t := timeouts(o.get("timeout"))
		r.Timeout = &t
	} else {
		timeouts(o.get("timeout"))
	}
	if o.has("retry") {
		t := retry(o.get("retry"))
		r.Retry = &t
	} else {
		retry(o.get("retry"))
	}
	r.OnUnknown, r.Check = o.doubts(asker{
		base: s.URL.String(), takesKey: s.Idempotency.Header != "", scope: []string{expr.CallVar}, what: "the system " + s.Name,
	})
	if r.Repeatable != nil && *r.Repeatable || r.Repeatable == nil && idempotent[r.Method] {
		o.needless("it is repeatable: what nobody knows the outcome of is tried again")
	}
	r.Fallback = o.get("fallback").callFallback()
	return r
}

// needless refuses what has no effect on something repeatable.
func (o *object) needless(why string) {
	for _, key := range []string{"on_unknown", "check"} {
		if o.has(key) {
			o.get(key).failKey("leave it out, or say repeatable: false", "%s", why)
		}
	}
}

// match reads "METHOD /path", or a path alone.
func (v value) match() (method string, path []string) {
	s := v.text()
	if s == "" {
		return "*", nil
	}
	method, rest, ok := strings.Cut(s, " ")
	if !ok {
		method, rest = "*", s
	}
	rest = strings.TrimSpace(rest)
	switch {
	case method != "*" && (!isToken(method) || strings.ToUpper(method) != method):
		v.fail("one like POST, PUT or PATCH, or * for any", "%s is not a method", v.quote(method))
	case !strings.HasPrefix(rest, "/"):
		v.fail("for example POST /v1/payments, or /v1/payments/* for any method", "%s is not a path: it begins with no /", v.quote(rest))
	case strings.ContainsAny(rest, "?#"):
		v.fail("calls are matched by method and path", "a query cannot be matched")
	case strings.ContainsAny(rest, "{}"):
		v.fail("* stands for one segment, ** at the end for any rest", "an expression cannot be matched")
	}
	path = segmentsOf(rest)
	for i, segment := range path {
		if segment == "**" && i == len(path)-1 || segment == "*" || !strings.Contains(segment, "*") {
			continue
		}
		v.fail("* stands for one whole segment, ** at the end for any rest", "%s is not a pattern", v.quote(segment))
		break
	}
	return method, path
}

// occasions reads when a fallback takes over.
func (o *object) occasions(f *Fallback) {
	v := o.get("on")
	words := v.list()
	f.OnDead = len(words) == 0
	for _, item := range words {
		switch item.oneOf("", "dead", "open") {
		case "dead":
			f.OnDead = true
		case "open":
			f.OnOpen = true
		}
	}
	if v.given() && v.node.kind == sequence && len(words) == 0 {
		v.fail("dead, open, or both", "says nothing")
	}
}

// callFallback is the answer that takes the place of a system's.
func (v value) callFallback() *Fallback {
	o := v.open("call_fallback")
	a := &seawall.Answer{Status: o.get("status").number(http.StatusOK, 200, 599), Headers: http.Header{}, Fallback: true}
	o.get("headers").named(func(name string, h value) {
		if h.headerName(name) && h.headerText() {
			a.Headers.Set(name, h.text())
		}
	})
	if body := o.get("body"); body.given() && body.scalar() {
		a.Body = []byte(body.resolve(nil).text)
	}
	f := &Fallback{Answer: a}
	o.occasions(f)
	if !v.given() {
		return nil
	}
	if len(a.Body) > 0 && a.Headers.Get("Content-Type") == "" {
		a.Headers.Set("Content-Type", contentType(a.Body))
	}
	return f
}

func contentType(body []byte) string {
	if s := strings.TrimSpace(string(body)); strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		return "application/json"
	}
	return http.DetectContentType(body)
}

// fallback is another destination.
func (v value) fallback() *Fallback {
	if v.given() && v.node.kind == scalar {
		return &Fallback{To: v.text(), OnDead: true}
	}
	o := v.open("fallback")
	f := &Fallback{To: o.needed("to", "the name of a destination").text(), For: o.get("for").duration(0, time.Second, 365*day)}
	o.occasions(f)
	if !v.given() {
		return nil
	}
	return f
}

// fallbacks checks that each leads to a destination, and none back to itself.
func (r *reader) fallbacks(c *Config, all value) {
	next := map[string]string{}
	for _, d := range c.Destinations {
		if d.Fallback != nil {
			next[d.Name] = d.Fallback.To
		}
	}
	names := destinationNames(c)
	for _, d := range c.Destinations {
		if d.Fallback == nil || d.Fallback.To == "" {
			continue
		}
		v := r.places[join(all.path, d.Name)].open("destination").get("fallback")
		if v.node != nil && v.node.kind == mapping {
			v = v.open("fallback").get("to")
		}
		if !v.refersTo(d.Fallback.To, "destination", names) {
			continue
		}
		v.fallbackKeeps(c, d.Fallback.To)
		chain := []string{d.Name}
		for to := d.Fallback.To; to != "" && len(chain) <= len(names); to = next[to] {
			chain = append(chain, to)
			if to == d.Name {
				v.fail("the last one of a chain has none", "leads back to where it began: %s", strings.Join(chain, " → "))
				break
			}
		}
	}
}

// refersTo tells that a name is one of those that there are, or notes that it
// is not.
func (v value) refersTo(name, kind string, names []string) bool {
	if slices.Contains(names, name) {
		return true
	}
	switch near := seawall.Nearest(name, names); {
	case name == "":
	case near != "":
		v.fail(`did you mean "`+near+`"?`, "no %s %s", kind, v.quote(name))
	case len(names) == 0:
		v.fail("name it under "+plural(kind), "no %s %s", kind, v.quote(name))
	default:
		v.fail("there are: "+strings.Join(names, ", "), "no %s %s", kind, v.quote(name))
	}
	return false
}

func plural(kind string) string {
	if stem, ok := strings.CutSuffix(kind, "y"); ok {
		return stem + "ies"
	}
	return kind + "s"
}

// origin is the scheme and host that a destination's URL begins with.
func origin(prefix string) string {
	u, err := url.Parse(prefix)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
