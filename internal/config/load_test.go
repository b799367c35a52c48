package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"github.com/seawall-dev/seawall/internal/expr"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// environment answers for every variable that the examples name.
func environment(name string) (string, bool) {
	if strings.HasPrefix(name, "SEAWALL_") {
		return "", false
	}
	return whsec, true
}

// files holds every secret that the examples name, beside the examples.
func files(path string) ([]byte, error) {
	if strings.Contains(path, "secrets/") {
		return []byte(whsec + "\n"), nil
	}
	return os.ReadFile(path)
}

func TestExamples(t *testing.T) {
	found, err := filepath.Glob("../../examples/*/seawall.yaml")
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, f := range found {
		c, err := Load(f, Options{Getenv: environment, ReadFile: files})
		if err != nil {
			t.Errorf("%s:\n%v", f, err)
			continue
		}
		for _, w := range c.Warnings {
			t.Errorf("%s: %s", f, w)
		}
	}
}

var fullVars = vars{
	"STRIPE": whsec, "SHOP_NEW": "new-secret-of-shop", "SHOP_OLD": "whsec_b2xkLXNlY3JldC1vZi1zaG9w", "APP_TOKEN": "app-token-{1}",
	"KEY":       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	"WHPK":      "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
	"CRM_TOKEN": "token-of-the-crm", "REFRESH": "first-refresh-token", "SEAL": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	"HEX": "00112233445566778899aabbccddeeff", "QUOTE": `a"b\(c)`,
}

func full(t *testing.T) *Config {
	t.Helper()
	opt := testOptions()
	opt.Getenv = fullVars.get
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(text, "full.yaml", opt)
	if err != nil {
		t.Fatalf("\n%v", err)
	}
	return c
}

func TestFull(t *testing.T) {
	c := full(t)
	for _, x := range []struct{ name, got, want any }{
		{"node", c.Node, Node{Store: "sqlite:/var/lib/seawall/seawall.db", Listen: ":8080", Admin: "127.0.0.1:8081", Inner: "127.0.0.1:8082", Log: "warn", Format: "json"}},
		{"public_url", c.PublicURL.String(), "https://hooks.example.com"},
		{"proxies", fmt.Sprint(c.TrustedProxies), "[10.0.0.1/32]"},
		{"egress", fmt.Sprint(c.Egress), "[10.20.0.0/16]"},
		{"retention", c.Retention, Retention{30 * day, 90 * day, 7 * day}},
		{"limits", c.Limits, Limits{5 * mib, 512 * mib, 1024}},
		{"drop", c.Drop, []string{"calls:left", "gone"}},
		{"sources", len(c.Sources), 11},
		{"order", c.Sources[0].Name + c.Sources[10].Name, "stripelab"},
		{"kind", c.Sources[1].Kind, "shopify"},
		{"dedupe", c.Sources[0].Dedupe, 3 * day},
		{"dedupe by default", c.Sources[1].Dedupe, 7 * day},
		{"tolerance", c.Sources[0].Settings.Tolerance, 10 * time.Minute},
		{"expires", c.Sources[1].Settings.Secrets[1].Expires, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		{"file", c.Sources[3].Settings.Tokens[0].Value, whsec},
		{"max body", c.Sources[8].MaxBody, int64(25 * mib)},
		{"answer", string(c.Sources[8].Answer.Body), "ok"},
		{"status", c.Sources[8].Answer.Status, 202},
		{"no answer", c.Sources[0].Answer == nil, true},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
}

func TestFullDestinations(t *testing.T) {
	c := full(t)
	orders, contacts, handler := c.Destinations[0], c.Destinations[1], c.Destinations[2]
	for _, x := range []struct{ name, got, want any }{
		{"url", orders.URL.Source(), "https://orders.example.com/hooks/{.id}?type={$event.type}"},
		{"method", orders.Method.Prefix(), "PUT"},
		{"header", orders.Headers[0].Value.Prefix(), "Bearer app-token-{1}"},
		{"header as shown", orders.Headers[0].Value.Source(), "Bearer ${APP_TOKEN}"},
		{"timeout", orders.Timeout, Timeouts{5 * time.Second, 5 * time.Second, 10 * time.Second, 10 * time.Second}},
		{"retry", orders.Retry, Retry{75 * time.Hour, 0, time.Second, time.Hour}},
		{"concurrency", orders.Concurrency, 4},
		{"shards", orders.Shards, 2},
		{"repeatable", orders.Unsafe, true},
		{"repeatable by default", handler.Unsafe, false},
		{"shards by default", handler.Shards, 1},
		{"renamed", orders.RenamedFrom, "old-orders"},
		{"key", orders.IdempotencyHeader, "Idempotency-Key"},
		{"signs", len(contacts.Sign), 2},
		{"sign expires", contacts.Sign[1].Expires, time.Date(2026, 12, 1, 18, 0, 0, 0, time.UTC)},
		{"other key", contacts.IdempotencyHeader, "X-Request-Id"},
		{"timeouts", contacts.Timeout, Timeouts{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}},
		{"body as shown", contacts.Body.Source(), `{email: .user.email, key: "${QUOTE}"}`},
		{"forward", handler.Forward, true},
		{"method by default", handler.Method.Prefix(), "POST"},
		{"retry by default", handler.Retry, Retry{75 * time.Hour, 10, 5 * time.Second, day}},
		{"concurrency by default", handler.Concurrency, 16},
		{"routes", c.Routes[0].Name + " " + c.Routes[1].Name + " " + c.Routes[2].Name, "stripe-orders app-contacts all"},
		{"types", c.Routes[0].Types, []string{"payment_intent.*"}},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, x.got, x.want)
		}
	}
	// What a reference stands for is text within an expression, whatever it holds.
	got, err := contacts.Body.JSON(t.Context(), expr.NewInput([]byte(`{}`), "", expr.Event{}))
	if want := `{"email":null,"key":"a\"b\\(c)"}`; string(got) != want || err != nil {
		t.Errorf("body: %s %v, want %s", got, err, want)
	}
}

// Only what stands under destinations and systems must be kept out of what is shown of
// requests.
func TestSecretsAreNamed(t *testing.T) {
	got := strings.Join(full(t).Secrets, " ")
	want := strings.Join([]string{
		fullVars["CRM_TOKEN"], fullVars["STRIPE"], fullVars["APP_TOKEN"], fullVars["REFRESH"], strings.TrimSpace(string(keyPEM)), fullVars["QUOTE"], fullVars["SHOP_OLD"],
	}, " ")
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A configuration that is printed or logged by mistake shows no secret.
func TestSecretsAreHidden(t *testing.T) {
	c := full(t)
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("x", "config", c, "source", c.Sources[1], "secret", c.Sources[1].Settings.Secrets[0], "destination", c.Destinations[0])
	js, err := json.Marshal(c.Sources[1].Settings.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(js)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		all += fmt.Sprintf(format, c) + fmt.Sprintf(format, c.Sources[1].Settings.Secrets) + fmt.Sprintf(format, c.Destinations[1].Sign) + fmt.Sprintf(format, c.Seal)
		for _, s := range c.Systems {
			all += fmt.Sprintf(format, s.Auth) + fmt.Sprintf(format, *s)
		}
	}
	for name, secret := range fullVars {
		if strings.Contains(all, secret) {
			t.Errorf("%s is shown: %s", name, all)
		}
	}
	if !strings.Contains(all, "•••") {
		t.Error("nothing stands in the secrets' place")
	}
}

func TestEmptyFile(t *testing.T) {
	c, err := Parse(nil, "x", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	want := Node{Store: "sqlite:/conf/seawall.db", Listen: ":8080", Admin: "127.0.0.1:8081", Log: "info"}
	if c.Node != want || c.Limits != (Limits{5 * mib, 512 * mib, 1024}) || c.Retention != (Retention{30 * day, 90 * day, 30 * day}) || c.PublicURL != nil {
		t.Errorf("%+v %+v %+v", c.Node, c.Limits, c.Retention)
	}
}

func TestEnvironment(t *testing.T) {
	opt := testOptions()
	set := vars{
		"SEAWALL_LISTEN": "127.0.0.1:1", "SEAWALL_ADMIN_LISTEN": ":2", "SEAWALL_INTERNAL_LISTEN": ":3", "SEAWALL_STORE": "sqlite:x", "SEAWALL_PUBLIC_URL": "https://x",
		"SEAWALL_LIMITS_BODY": "1MiB", "SEAWALL_LIMITS_MEMORY": "1GiB", "SEAWALL_LIMITS_REQUESTS": "7",
		"SEAWALL_RETENTION_EVENTS": "5d", "SEAWALL_RETENTION_DEAD": "6d", "SEAWALL_RETENTION_DEDUPE": "1h",
		"SEAWALL_LOG_LEVEL": "debug", "SEAWALL_LOG_FORMAT": "text", "SEAWALL_LISTN": ":9", "SEAWALL_TOKEN": "x", "OTHER": "y",
		"SEAWALL_MINE": whsec,
	}
	opt.Getenv = set.get
	opt.Known = []string{"SEAWALL_TOKEN"}
	opt.Environ = func() (out []string) {
		for k, v := range set {
			out = append(out, k+"="+v)
		}
		return out
	}
	c, err := Parse([]byte(`{listen: ":8080", sources: {a: {provider: stripe, secret: "${SEAWALL_MINE}"}}, destinations: {b: {url: "https://x.example"}}, routes: [{from: a, to: b}]}`), "x", opt)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Node{"sqlite:x", "127.0.0.1:1", ":2", ":3", "debug", "text"}); c.Node != want {
		t.Errorf("%+v", c.Node)
	}
	if c.Limits != (Limits{mib, gib, 7}) || c.Retention != (Retention{5 * day, 6 * day, time.Hour}) || c.PublicURL.String() != "https://x" {
		t.Errorf("%+v %+v %v", c.Limits, c.Retention, c.PublicURL)
	}
	if got := strings.Join(c.Warnings, "; "); got != "environment: SEAWALL_LISTN sets nothing in the configuration" {
		t.Errorf("warnings: %s", got)
	}

	set["SEAWALL_LIMITS_BODY"] = "big"
	_, err = Parse(nil, "x", opt)
	if want := "environment: SEAWALL_LIMITS_BODY: \"big\" is not a size\nhint: a number and a unit: 512KiB, 5MiB, 1GiB"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestWarnings(t *testing.T) {
	c, err := Parse([]byte("sources: {a: {provider: none}}\ndestinations:\n  b: {url: 'https://x.example'}\n"), "x", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	want := "x:1:11: sources.a: no route takes its events: they are stored and go nowhere; x:3:3: destinations.b: no route leads to it"
	if got := strings.Join(c.Warnings, "; "); got != want {
		t.Errorf("%s", got)
	}
}

// Routes between the same two ends need no names, but without names they are
// counted.
func TestRoutesWithTheSameEnds(t *testing.T) {
	c, err := Parse([]byte(`sources: {a: {provider: none}}
destinations: {b: {url: 'https://x.example'}, c: {url: 'https://x.example'}}
routes:
  - {from: a, to: b, types: [x]}
  - {from: a, to: c}
  - {from: a, to: b, types: [y]}
  - {from: a, to: b, name: mine}
  - {from: a, to: b, types: [z]}
`), "x", testOptions())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range c.Routes {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "a-b a-c a-b-2 mine a-b-3" {
		t.Errorf("names: %s", got)
	}
	if len(c.Warnings) != 2 || !strings.HasPrefix(c.Warnings[0], "x:6:5: routes[2].name: is a-b-2, ") || !strings.HasPrefix(c.Warnings[1], "x:8:5: routes[4].name: is a-b-3, ") {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

// Short times are for trials: taken, with a warning.
func TestShortRetention(t *testing.T) {
	opt := testOptions()
	opt.Getenv = vars{"SEAWALL_RETENTION_DEAD": "2m"}.get
	c, err := Parse([]byte("retention: { events: 1h, dedupe: 1s }\nsources: { a: { provider: none, dedupe: 59m } }\n"+
		"destinations: { b: { url: https://x.example } }\nroutes: [{ from: a, to: b }]"), "x", opt)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Retention{time.Hour, 2 * time.Minute, time.Second}); c.Retention != want || c.Sources[0].Dedupe != 59*time.Minute {
		t.Errorf("%v %v", c.Retention, c.Sources[0].Dedupe)
	}
	want := "environment: SEAWALL_RETENTION_DEAD: 2m is less than an hour: what could not be delivered is gone before anybody sees it\n" +
		"x:1:26: retention.dedupe: 1s is less than an hour: " + shortDedupe + "\n" +
		"x:2:33: sources.a.dedupe: 59m is less than an hour: " + shortDedupe
	if got := strings.Join(c.Warnings, "\n"); got != want {
		t.Errorf("%s", got)
	}
	if _, err := Parse([]byte("retention: { events: 999ms }"), "x", opt); err == nil {
		t.Error("less than a second is taken")
	}
}

func TestExpiredSecrets(t *testing.T) {
	opt := testOptions()
	opt.Now = func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }
	c, err := Parse([]byte(`sources: { a: { provider: stripe, secrets: ["${SECRET}", { value: "${SECRET}", expires: 2026-12-02 }] } }
destinations:
  b: { url: https://x.example, sign: { secrets: ["${SECRET}", { value: "${SECRET}", expires: 2026-12-01 }] } }
routes: [{ from: a, to: b }]`), "x", opt)
	if err != nil {
		t.Fatal(err)
	}
	want := "x:3:63: destinations.b.sign.secrets[1]: its time ended 2026-12-01T00:00:00Z: it is not used any more"
	if got := strings.Join(c.Warnings, "\n"); got != want {
		t.Errorf("%s", got)
	}
}

// A store lies beside its configuration, wherever the gateway is started.
func TestStoreIsRelativeToTheFile(t *testing.T) {
	for _, c := range []struct {
		path, dir, file, env string
		want                 Store
	}{
		{"gateway/seawall.yaml", "", "store: sqlite:x.db", "", "sqlite:gateway/x.db"},
		{"gateway/seawall.yaml", "", "listen: ':1'", "", "sqlite:gateway/seawall.db"},
		{"seawall.yaml", "", "store: sqlite:x.db", "", "sqlite:x.db"},
		{"/etc/s.yaml", "", "store: sqlite:../x.db", "", "sqlite:/x.db"},
		{"/etc/s.yaml", "/conf", "store: sqlite:x.db", "", "sqlite:/conf/x.db"},
		{"/etc/s.yaml", "", "store: sqlite:/var/x.db", "", "sqlite:/var/x.db"},
		{"/etc/s.yaml", "", "store: sqlite:x.db", "sqlite:y.db", "sqlite:y.db"},
	} {
		opt := Options{
			Dir:      c.dir,
			ReadFile: func(string) ([]byte, error) { return []byte(c.file), nil },
			Getenv:   func(name string) (string, bool) { return c.env, name == "SEAWALL_STORE" },
		}
		whole, err := Load(c.path, opt)
		if err != nil {
			t.Fatal(err)
		}
		node, err := LoadNode(c.path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if whole.Node.Store != c.want || node.Store != c.want {
			t.Errorf("%s with %q, %q: %s and %s, want %s", c.path, c.file, c.env, whole.Node.Store, node.Store, c.want)
		}
	}
	// Without a folder it is the working directory.
	c, err := Parse([]byte("store: sqlite:x.db"), "x", Options{})
	if err != nil || c.Node.Store != "sqlite:x.db" {
		t.Error(c, err)
	}
}

func TestReferences(t *testing.T) {
	opt := testOptions()
	c, err := Parse([]byte(`destinations: {b: {url: "https://${HOST}/$${{x}}/${BRACES}/{.id}", headers: {X-A: "file:/abs/secret", X-B: "$5 $$ ${HOST}"}}}`), "x", opt)
	if err != nil {
		t.Fatal(err)
	}
	url, err := c.Destinations[0].URL.Expand(t.Context(), expr.NewInput([]byte(`{"id":7}`), "", expr.Event{}), expr.URL)
	if want := "https://orders.example.com/${x}/{.id}/7"; url != want || err != nil {
		t.Errorf("%s %v, want %s", url, err, want)
	}
	if got := c.Destinations[0].Headers[0].Value.Prefix(); got != whsec {
		t.Error(got)
	}
	if got := c.Destinations[0].Headers[1].Value.Prefix(); got != "$5 $$ orders.example.com" {
		t.Error(got)
	}
}

func TestLoadMissing(t *testing.T) {
	if _, err := Load("/conf/gone.yaml", testOptions()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestUnits(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "10s": 10 * time.Second, "75h": 75 * time.Hour, "30d": 30 * day, "1h30m": 90 * time.Minute, "500ms": 500 * time.Millisecond,
		"1.5h": 90 * time.Minute, "2 m": 2 * time.Minute, "10": -1, "s": -1, "": -1, "-5s": -1, "5y": -1, "5s x": -1, "1e9d": -1, "999999999d": -1, "1..2s": -1,
	} {
		if got, err := parseDuration(s); got != want && (want >= 0 || err == nil) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for s, want := range map[string]int64{
		"5MiB": 5 << 20, "100": 100, "1 GiB": 1 << 30, "100kB": 100_000, "1.5KiB": 1536, "": -1, "MiB": -1, "5XB": -1, "5MiB5": -1, "-5": -1, "99999999999GiB": -1,
	} {
		if got, err := parseSize(s); got != want && (want >= 0 || err == nil) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
}
