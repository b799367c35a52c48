package config

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

const (
	day     = 24 * time.Hour
	forever = 100 * 365 * day
	kib     = 1 << 10
	mib     = 1 << 20
	gib     = 1 << 30
)

// config reads the whole file.
func (r *reader) config(root value) *Config {
	o := root.open("")
	o.env = "SEAWALL_"
	c := &Config{
		Node:      r.node(o),
		PublicURL: publicURL(o.set("public_url")),
		settings:  settings(o.node),
	}
	c.TrustedProxies = o.get("trusted_proxies").prefixes()
	c.Egress = o.get("egress").open("egress").get("allow").prefixes()
	c.Retention = retention(o.within("retention"))
	c.Limits = limits(o.within("limits"))
	c.Seal = sealKeys(o.get("seal"))
	r.systems(c, o.get("systems"))
	r.sources(c, o.get("sources"))
	r.entities(c, o.get("entities"))
	r.destinations(c, o.get("destinations"))
	r.routes(c, o.get("routes"))
	return c
}

// within opens a mapping whose scalars variables can set.
func (o *object) within(key string) *object {
	in := o.get(key).open(key)
	in.env = o.env + strings.ToUpper(key) + "_"
	return in
}

func (r *reader) node(o *object) Node {
	log := o.within("log")
	n := Node{
		Store:  usualStore,
		Listen: address(o.set("listen"), ":8080"),
		Admin:  address(o.within("admin").set("listen"), "127.0.0.1:8081"),
		Inner:  address(o.within("internal").set("listen"), ""),
		Log:    log.set("level").oneOf("info", "debug", "info", "warn", "error"),
		Format: log.set("format").oneOf("", "text", "json"),
	}
	if v := o.set("store"); v.node != nil {
		n.Store = v.store()
	} else {
		n.Store = Store("sqlite:" + filepath.Join(o.r.opt.Dir, usualStore.Path()))
	}
	return n
}

func address(v value, usual string) string {
	s := v.text()
	if s == "" {
		return usual
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || port == "" || strings.ContainsAny(host, "/ ") {
		v.fail(`for example ":8080" or "127.0.0.1:8081"`, "%s is not an address to listen on", v.quote(s))
	}
	return s
}

func publicURL(v value) *url.URL {
	s := v.text()
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		v.fail("for example https://hooks.example.com", "%s is not the URL of a place", v.quote(s))
		return nil
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u
}

func retention(o *object) Retention {
	events := o.set("events").kept(30*day, "what happened to an event cannot be looked up for long")
	dead := o.set("dead").kept(max(90*day, events), "what could not be delivered is gone before anybody sees it")
	v := o.set("dedupe")
	dedupe := v.kept(events, shortDedupe)
	if dedupe > events {
		v.fail("what is kept no longer cannot be recognised", "%s is longer than events are kept, %s", spell(dedupe), spell(events))
	}
	return Retention{Events: events, Dead: dead, Dedupe: dedupe}
}

const shortDedupe = "senders repeat an event for hours, which would then be a new one"

// kept is how long something is kept. Short times are for trials.
func (v value) kept(usual time.Duration, short string) time.Duration {
	d := v.duration(usual, time.Second, forever)
	if v.given() && d < time.Hour {
		v.warn("%s is less than an hour: %s", spell(d), short)
	}
	return d
}

func limits(o *object) Limits {
	return Limits{
		Body:     o.set("body").size(5*mib, 1, gib),
		Memory:   o.set("memory").size(512*mib, 64*mib, 1<<50),
		Requests: o.set("requests").number(1024, 1, 1_000_000),
	}
}
