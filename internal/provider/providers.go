package provider

import (
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// Info describes a provider of the catalogue to people.
type Info struct {
	Name  string // as in the configuration
	Title string
	Doc   string   // how it signs, in one line
	ID    string   // what its events are recognised by
	Needs string   // settings that must be given
	Keys  []string // settings that may be given, beside those that every source has
}

// entry is one provider of the catalogue.
type entry struct {
	Info
	objects bool // its events tell what they are about

	open   func(s Settings) (*source, error)
	sample func(n string) sample
	sign   func(s Settings, r *Request) error
}

// catalogue lists all providers: the named ones by name, then the generic ones.
var catalogue []entry

func init() {
	catalogue = []entry{
		discord, github, shopify, slack, standardWebhooks, stripe, svix, twilio,
		genericHMAC, genericToken, genericBasic, genericNone,
	}
}

// Names describes the providers, in the order of the catalogue.
func Names() []Info {
	out := make([]Info, len(catalogue))
	for i, e := range catalogue {
		out[i] = e.Info
	}
	return out
}

// Open makes a source of its settings. The error is a *SettingError.
func Open(s Settings) (Source, error) {
	e, err := find(s.Provider)
	if err != nil {
		return nil, err
	}
	src, err := e.source(s)
	if err != nil {
		return nil, err // and not a nil *source in an interface
	}
	return src, nil
}

func find(name string) (*entry, error) {
	for i := range catalogue {
		if catalogue[i].Name == name {
			return &catalogue[i], nil
		}
	}
	if name == "" {
		return nil, wrong("provider", "is missing").hint("one of: %s", strings.Join(names(), ", "))
	}
	e := wrong("provider", "%q is not a provider that this version knows", clip(name))
	if near := seawall.Nearest(name, names()); near != "" {
		return nil, e.hint("did you mean %s?", near)
	}
	return nil, e.hint("one of: %s; any HMAC scheme can be described with hmac", strings.Join(names(), ", "))
}

func names() []string {
	out := make([]string, len(catalogue))
	for i, e := range catalogue {
		out[i] = e.Name
	}
	return out
}

func (e *entry) source(s Settings) (*source, error) {
	for _, key := range s.given() {
		if !slices.Contains(e.Keys, key) {
			return nil, wrong(key, "does not belong to a source of the provider %s", e.Name).
				hint("it takes: %s", strings.Join(e.Keys, ", "))
		}
	}
	if s.Tolerance < 0 {
		return nil, wrong("tolerance", "is negative").hint("how far the signed time may be from ours, for example 5m")
	}
	if err := s.checkEach(); err != nil {
		return nil, err
	}
	src, err := e.open(s)
	if err != nil {
		return nil, err
	}
	src.traits.Name, src.traits.Objects = e.Name, e.objects
	return src, nil
}
