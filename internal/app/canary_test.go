package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
)

// canaries are the secrets of a configuration: none is to be seen anywhere.
var canaries = map[string]string{
	"HUB":     "a secret of decent length",
	"BEARER":  "canary-bearer-0a61e5f2b7c4",
	"BASIC":   "canary-basic-93bd40c7aa1e",
	"HEADER":  "canary-header-5c1f02d8e6b9",
	"QUERY":   "canary-query-e8a7730fd142",
	"HMAC":    "canary-hmac-27f6b95c04de",
	"CLIENT":  "canary-client-b4c2d09e8813",
	"REFRESH": "canary-refresh-6de01a5f3c72",
	"SEAL":    base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
}

const canaryText = `
store: sqlite:seawall.db
listen: 127.0.0.1:0
admin: { listen: "127.0.0.1:0" }
egress: { allow: ["127.0.0.0/8"] }
seal: { key: "${SEAL}" }
sources:
  hub: { provider: github, secret: "${HUB}" }
systems:
  bearer: { url: BASE, auth: { bearer: "${BEARER}" } }
  basic: { url: BASE, auth: { basic: { username: me, password: "${BASIC}" } } }
  header: { url: BASE, auth: { header: { name: X-Key, value: "${HEADER}" } } }
  query: { url: BASE, auth: { query: { name: key, value: "${QUERY}" } } }
  hmac: { url: BASE, auth: { hmac: { secret: "${HMAC}", header: X-Signature } } }
  oauth: { url: BASE, auth: { oauth2: { token_url: "BASE/token", client_id: me, client_secret: "${CLIENT}", refresh_token: "${REFRESH}" } } }
  denied: { url: BASE, auth: { oauth2: { token_url: "BASE/denied", client_id: me, client_secret: "${CLIENT}", send: body } } }
destinations:
  to-bearer: { system: bearer, path: /p }
  to-basic: { system: basic, path: /p }
  to-header: { system: header, path: /p }
  to-query: { system: query, path: "/p?a=1" }
  to-hmac: { system: hmac, path: /p }
  to-oauth: { system: oauth, path: /p }
  to-denied: { system: denied, path: /p }
routes:
  - { from: hub, to: to-bearer }
  - { from: hub, to: to-basic }
  - { from: hub, to: to-header }
  - { from: hub, to: to-query }
  - { from: hub, to: to-hmac }
  - { from: hub, to: to-oauth }
  - { from: hub, to: to-denied }
`

// The credentials of systems, and the tokens got with them, are sent, though the
// system echoes all of it with an error; and are nowhere in the log, the API, the
// metrics or the files of the store.
func TestCredentialsOfSystemsAreSeenNowhere(t *testing.T) {
	var mu sync.Mutex
	sent := map[string]bool{} // secrets that came
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		all := fmt.Sprint(r.URL, r.Header, string(body), user, password)
		mu.Lock()
		for name, secret := range canaries {
			sent[name] = sent[name] || strings.Contains(all, secret)
		}
		sent["ACCESS"] = sent["ACCESS"] || strings.Contains(all, "canary-access")
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/token":
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "canary-access-0f3d", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "canary-refresh-next"})
		case "/denied":
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_client", "error_description": "not good: " + string(body)})
		default:
			w.Header().Set("Location", "/?"+all[:min(len(all), 500)])
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(all))
		}
	}))
	defer srv.Close()
	dir := t.TempDir()
	text := strings.ReplaceAll(canaryText, "BASE", srv.URL)
	parse := func(text []byte) (*config.Config, error) {
		return config.Parse(text, filepath.Join(dir, "seawall.yaml"), config.Options{
			Dir: dir, Getenv: func(name string) (string, bool) { v, ok := canaries[name]; return v, ok },
			Environ: func() []string { return nil },
		})
	}
	c, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var log syncBuffer
	r := run(t, c, func(o *Options) {
		o.Parse = parse
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	if got := r.send(1); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	var ids []string
	eventually(t, "each has been tried", func() bool {
		l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{}, store.Page{Limit: 50})
		ids = nil
		for _, d := range l.Items {
			if as, err := r.store.Attempts(t.Context(), d.ID); err == nil && len(as) > 0 {
				ids = append(ids, d.ID.String())
			}
		}
		return err == nil && len(ids) == 7
	})
	mu.Lock()
	for _, name := range []string{"BEARER", "BASIC", "HEADER", "QUERY", "CLIENT", "REFRESH", "ACCESS"} {
		if !sent[name] {
			t.Errorf("%s was not sent", name)
		}
	}
	mu.Unlock()

	paths := []string{"/metrics", "/api/v1/status", "/api/v1/config", "/api/v1/events", "/api/v1/deliveries", "/api/v1/actions", "/api/v1/systems"}
	for _, id := range ids {
		paths = append(paths, "/api/v1/deliveries/"+id, "/api/v1/deliveries/"+id+"/attempts", "/api/v1/events/evt_"+strings.TrimPrefix(id, "dlv_")[:25]+"0")
	}
	seen, found := log.String(), 0
	for _, path := range paths {
		resp, err := http.Get("http://" + r.AdminAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			found++
			seen += path + ": " + string(b)
		}
	}
	if found < 10 || !strings.Contains(seen, "[redacted]") || !strings.Contains(seen, "invalid_client") {
		t.Errorf("only %d of %v answered, or not with the attempts", found, paths)
	}
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "seawall.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of the store", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		seen += f + ": " + string(b)
	}
	seen += log.String()
	basic := base64.StdEncoding.EncodeToString([]byte("me:" + canaries["BASIC"]))
	for _, secret := range []string{"canary-", canaries["HUB"], canaries["SEAL"], basic} {
		if i := strings.Index(seen, secret); i >= 0 {
			t.Errorf("a secret is to be seen: …%q…", seen[max(0, i-200):min(len(seen), i+60)])
		}
	}
}

// syncBuffer is a buffer that many may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
