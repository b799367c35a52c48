package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/provider"
)

const testSecret = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

func code(t *testing.T, source string) *expr.Code {
	t.Helper()
	c, err := expr.Compile(source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What "send" sends verifies at a source of its kind, and is of the type and the
// id that were asked for.
func TestSamplesVerify(t *testing.T) {
	secret := []provider.Secret{{Value: testSecret}}
	for _, s := range []provider.Settings{
		{Provider: "github", Secrets: secret},
		{Provider: "shopify", Secrets: secret},
		{Provider: "stripe", Secrets: secret},
		{Provider: "standardwebhooks", Secrets: secret},
		{Provider: "svix", Secrets: secret},
		{Provider: "hmac", Secrets: secret, Header: "X-Sig", Type: code(t, ".type")},
		{Provider: "token", Tokens: secret, Type: code(t, ".type")},
		{Provider: "none", Type: code(t, ".type")},
	} {
		p, err := provider.Open(s)
		if err != nil {
			t.Fatalf("%s: %v", s.Provider, err)
		}
		src := &config.Source{Name: "x", Kind: s.Provider, Provider: p, Settings: s}
		c := &cli{now: fixed, random: zeros{}}
		for _, body := range []string{"", `{"total": 1}`} {
			var data []byte
			if body != "" {
				data = []byte(body)
			}
			r, err := c.sample(&config.Config{}, src, "http://127.0.0.1:8080", "order.paid", "order-1", data)
			if err != nil {
				t.Errorf("%s: %v", s.Provider, err)
				continue
			}
			if _, err := p.Verify(context.Background(), r); err != nil {
				t.Errorf("%s: %v", s.Provider, err)
			}
			items, problem := p.Identify(r)
			if len(items) != 1 || items[0].Type != "order.paid" || items[0].ID != "order-1" {
				t.Errorf("%s: %+v %s", s.Provider, items, problem)
			}
			if body != "" && !strings.Contains(string(r.Body), `"total"`) {
				t.Errorf("%s: the body was not the one given: %s", s.Provider, r.Body)
			}
		}
	}
	src := &config.Source{Name: "x", Kind: "slack"}
	if _, err := (&cli{now: fixed, random: zeros{}}).sample(&config.Config{}, src, "http://h", "message", "", nil); err == nil {
		t.Error("a type that cannot be set was passed over")
	}
}

func TestReachable(t *testing.T) {
	for in, want := range map[string]string{
		":8080":          "127.0.0.1:8080",
		"0.0.0.0:8080":   "127.0.0.1:8080",
		"[::]:8080":      "127.0.0.1:8080",
		"10.0.0.1:8080":  "10.0.0.1:8080",
		"localhost:8080": "localhost:8080",
	} {
		if got := reachable(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestWhenATokenEnds(t *testing.T) {
	c := &cli{now: fixed}
	for in, want := range map[string]time.Time{
		"":                     {},
		"90d":                  fixed().AddDate(0, 0, 90),
		"2w":                   fixed().AddDate(0, 0, 14),
		"12h":                  fixed().Add(12 * time.Hour),
		"2027-01-31T12:00:00Z": time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC),
	} {
		if got, err := c.ahead(in); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"soon", "-1d", "0h", "d"} {
		if got, err := c.ahead(in); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestSignedNamesWhatIsSent(t *testing.T) {
	for kind, want := range map[string]string{"push": "a signed github push", "": "a signed github webhook"} {
		if got := signed(&config.Source{Kind: "github"}, kind); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
