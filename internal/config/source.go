package config

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/seawall"
)

// names of sources, destinations and routes stand in URLs, logs and commands.
var goodName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

func (v value) name(name string) bool {
	if goodName.MatchString(name) {
		return true
	}
	v.failKey("letters, digits, _ . and -, at most 63 of them, the first a letter or digit", "%q cannot be a name", clip(name))
	return false
}

// reserved are sources of the design that outsiders cannot be.
var reserved = map[string]bool{seawall.SourceOutcomes: true, seawall.SourceCalls: true}

func (r *reader) sources(c *Config, all value) {
	all.named(func(name string, v value) {
		switch {
		case reserved[name]:
			v.failKey("", "the name %s is kept for the gateway's own events", name)
		case v.name(name):
			c.Sources = append(c.Sources, r.source(c, name, v))
		}
	})
}

func (r *reader) source(c *Config, name string, v value) *Source {
	o := v.open("source")
	noted := len(r.problems)
	s := provider.Settings{
		Provider:   o.get("provider").text(),
		Secrets:    o.secrets("secret", "secrets"),
		Tokens:     o.secrets("token", "tokens"),
		PublicKeys: o.texts("public_key", "public_keys"),
		Username:   o.get("username").text(),
		Password:   o.get("password").secret(),
		Header:     o.get("header").text(),
		Query:      o.get("query").text(),
		Algorithm:  o.get("algorithm").text(),
		Encoding:   o.get("encoding").text(),
		Prefix:     o.get("prefix").text(),
		Signed:     o.get("signed").text(),
		SecretEnc:  o.get("secret_encoding").text(),
		Pairs:      pairs(o.get("pairs")),
		Tolerance:  o.get("tolerance").duration(0, time.Second, day),
		Each:       o.get("each").code(),
		ID:         o.get("id").code(),
		Type:       o.get("type").code(),
		Time:       o.get("time").code(),
	}
	at := o.get("timestamp").open("timestamp")
	s.Timestamp = provider.TimestampSpec{
		Header: at.get("header").text(),
		Unit:   at.get("unit").oneOf("", "s", "ms", "rfc3339"),
	}
	out := &Source{
		Name:     name,
		Kind:     s.Provider,
		Settings: s,
		text:     v.node.String(),
		Dedupe:   o.get("dedupe").kept(c.Retention.Dedupe, shortDedupe),
		Answer:   answer(o.get("answer")),
	}
	if out.Dedupe > c.Retention.Events {
		o.get("dedupe").fail("what is kept no longer cannot be recognised", "%s is longer than events are kept, %s",
			spell(out.Dedupe), spell(c.Retention.Events))
	}
	out.MaxBody = o.get("body").size(0, 1, gib)
	var err error
	if len(r.problems) > noted {
		// What the provider says of half a source would only confuse, but that
		// there is no such provider is as true.
		var at *provider.SettingError
		if _, err = provider.Open(s); errors.As(err, &at) && at.Key == "provider" && o.get("provider").sound() {
			o.refused(err)
		}
		return out
	}
	if out.Provider, err = provider.Open(s); err != nil {
		o.refused(err)
		return out
	}
	if out.MaxBody == 0 {
		out.MaxBody = c.Limits.Body
		if most := out.Provider.Traits().MaxBody; most > 0 {
			out.MaxBody = most
		}
	}
	return out
}

// sound tells that there is a value that could be read, or that none is written.
func (v value) sound() bool { return v.node == nil || v.node.kind == scalar && v.text() != "" }

// refused notes what the provider says about the settings, at the key at fault.
func (o *object) refused(err error) {
	var at *provider.SettingError
	if !errors.As(err, &at) {
		o.value().failKey("", "%v", err)
		return
	}
	v := o.value()
	for _, key := range []string{at.Key, at.Key + "s"} {
		if o.has(key) {
			v = o.get(key)
			v.failKey(at.Hint, "%s", at.Msg)
			return
		}
	}
	v.path = join(o.path, at.Key)
	v.failKey(at.Hint, "%s", at.Msg)
}

// value is the object itself, for problems with it as a whole.
func (o *object) value() value {
	return value{r: o.r, path: o.path, line: o.line, col: o.col}
}

func pairs(v value) *provider.Pairs {
	if !v.given() {
		v.open("pairs")
		return nil
	}
	o := v.open("pairs")
	return &provider.Pairs{
		Separator: o.get("separator").oneOf(",", ",", ";", "&", " "),
		Assign:    o.get("assign").oneOf("=", "=", "|", ","),
		Signature: o.get("signature").text(),
		Timestamp: o.get("timestamp").text(),
	}
}

func answer(v value) *provider.Answer {
	o := v.open("answer")
	a := &provider.Answer{
		Status: o.get("status").number(http.StatusOK, 200, 299),
		Header: http.Header{},
	}
	o.get("headers").named(func(name string, h value) {
		if h.headerName(name) && h.headerText() {
			a.Header.Set(name, h.text())
		}
	})
	if body := o.get("body"); body.given() && body.scalar() {
		a.Body = []byte(body.resolve(nil).text)
	}
	if !v.given() {
		return nil
	}
	if strings.TrimSpace(string(a.Body)) != "" && a.Header.Get("Content-Type") == "" {
		a.Header.Set("Content-Type", http.DetectContentType(a.Body))
	}
	return a
}
