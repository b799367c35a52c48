package plan

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/seawall"
)

// An entity that says nothing but the name of a provider's source gets its keys from
// it, and versions that order what the provider sends, where it tells any.
func TestG5_WhatAProviderSendsLaterRanksLater(t *testing.T) {
	told := map[string]bool{ // whether it tells what orders its events
		"discord": true, "github": true, "shopify": true, "slack": true, "standardwebhooks": true, "stripe": true, "svix": true, "twilio": false,
	}
	objects := 0
	for _, info := range provider.Names() {
		src, err := provider.Open(settings(info.Name))
		if err != nil {
			t.Fatalf("%s: %v", info.Name, err)
		}
		if !src.Traits().Objects {
			continue
		}
		objects++
		p := New(&config.Config{
			Entities: []*config.Entity{{Name: "thing", Claims: []config.Claim{{Source: "hub"}}}},
			Routes:   []*config.Route{{Name: "r", From: "hub", To: "a", Entity: "thing", Order: seawall.Latest}},
		})
		var last []byte
		for i := range 3 {
			r, err := provider.Sample(info.Name, "a1", "https://hooks.example.com/in/x", now.Add(time.Duration(i)*1500*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			items, _ := src.Identify(r) // an id may be missing, since nothing is signed
			if len(items) != 1 {
				t.Fatalf("%s: %v", info.Name, items)
			}
			ev := event(items[0].Type, string(r.Body))
			ev.Entity, ev.Version, ev.OccurredAt = items[0].Entity, items[0].Version, items[0].OccurredAt
			d, decisions := one(t, p, ev)
			clock, bare := order.ClockOf(d.Rank)
			if !strings.HasPrefix(d.Entity, "thing/") || clock != "hub" || len(decisions) != 1 || bare == told[info.Name] {
				t.Errorf("%s: %s, rank %q, %v", info.Name, d.Entity, d.Rank, decisions)
			}
			if bytes.Compare(d.Rank, last) <= 0 && !bare {
				t.Errorf("%s: version %s ranks %q, not after %q", info.Name, ev.Version, d.Rank, last)
			}
			last = d.Rank
		}
	}
	if objects != len(told) {
		t.Errorf("%d providers know objects, not %d", objects, len(told))
	}
}

func settings(name string) provider.Settings {
	s := provider.Settings{Provider: name}
	secret := []provider.Secret{{Value: "whsec_" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmn"))}}
	switch name {
	case "discord":
		s.PublicKeys = []string{strings.Repeat("d7", 32)}
	case "hmac":
		s.Secrets, s.Header = secret, "X-Sig"
	case "token":
		s.Tokens = secret
	case "basic":
		s.Username, s.Password = "hook", "0123456789"
	case "none":
	default:
		s.Secrets = secret
	}
	return s
}
