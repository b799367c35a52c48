package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/seawall"
)

func from(addr string) func(*http.Request)    { return func(r *http.Request) { r.RemoteAddr = addr } }
func host(h string) func(*http.Request)       { return func(r *http.Request) { r.Host = h } }
func header(k, v string) func(*http.Request)  { return func(r *http.Request) { r.Header.Add(k, v) } }
func with(token string) func(*http.Request)   { return header("Authorization", "Bearer "+token) }
func bare(name string) func(r *http.Request)  { return func(r *http.Request) { r.Header.Del(name) } }
func listen(addr string) func(o *api.Options) { return func(o *api.Options) { o.Listen = addr } }

// token makes one straight in the store.
func (b *bench) token(name string, expires time.Time, scopes ...string) string {
	b.Helper()
	secret, t, err := access.New(b.random, name, scopes, b.clock().Add(-time.Hour), expires)
	b.must(err)
	b.must(b.store.AddToken(b.Context(), t, seawall.Action{}))
	b.advance(time.Second) // past the cache
	return secret
}

func TestAuth_WithoutTokens(t *testing.T) {
	b := newBench(t)
	if p := get[api.Status](b, "/api/v1/status").Principal; p != "local" {
		t.Errorf("principal %q", p)
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"as it is":             {func(*http.Request) {}, 200},
		"IPv6":                 {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:4", "[::1]:8081" }, 200},
		"localhost":            {host("localhost:8081"), 200},
		"no port":              {host("127.0.0.1"), 200},
		"mapped":               {from("[::ffff:127.0.0.1]:9"), 200},
		"same origin":          {header("Origin", "http://127.0.0.1:8081"), 200},
		"typed in":             {header("Sec-Fetch-Site", "none"), 200},
		"other machine":        {from("192.0.2.1:9"), 403},
		"rebound name":         {host("evil.example:8081"), 403},
		"rebound look-alike":   {host("127.0.0.1.evil.example"), 403},
		"localhost look-alike": {host("localhost.evil.example"), 403},
		"no host":              {host(""), 403},
		"other origin":         {header("Origin", "https://evil.example"), 403},
		"other port":           {header("Origin", "http://127.0.0.1:3000"), 403},
		"other scheme":         {header("Origin", "https://127.0.0.1:8081"), 403},
		"null origin":          {header("Origin", "null"), 403},
		"two origins": {func(r *http.Request) {
			r.Header["Origin"] = []string{"http://127.0.0.1:8081", "https://evil.example"}
		}, 403},
		"cross-site":   {header("Sec-Fetch-Site", "cross-site"), 403},
		"same-site":    {header("Sec-Fetch-Site", "same-site"), 403},
		"proxied":      {header("X-Forwarded-For", "198.51.100.7"), 403},
		"proxied anew": {header("Forwarded", "for=198.51.100.7"), 403},
		"unix socket":  {from("@"), 403},
	} {
		if code, body := b.do("GET", "/api/v1/status", "", c.change); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, c.want)
		}
	}
}

func TestAuth_Tokens(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders")
	admin := b.token("ops", time.Time{}, "admin")
	read := b.token("eyes", time.Time{}, "read")
	calls := b.token("shop", time.Time{}, "calls:crm", "events:app")
	old := b.token("old", epoch.Add(30*time.Second), "admin")
	b.advance(time.Minute)

	post := "/api/v1/events/" + ev.ID.String() + "/plan"
	b.gateway.replan = func(seawall.EventID, seawall.Action) ([]seawall.Delivery, error) { return nil, nil }
	for name, c := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"admin reads":          {"GET", "/api/v1/events", with(admin), 200},
		"admin writes":         {"POST", post, with(admin), 200},
		"admin from afar":      {"GET", "/api/v1/events", func(r *http.Request) { with(admin)(r); r.RemoteAddr, r.Host = "192.0.2.1:1", "gw.example" }, 200},
		"lower case scheme":    {"GET", "/api/v1/events", header("Authorization", "bearer "+admin), 200},
		"read reads":           {"GET", "/api/v1/events", with(read), 200},
		"read writes":          {"POST", post, with(read), 403},
		"read deletes":         {"DELETE", "/api/v1/tokens/ops", with(read), 403},
		"other scope":          {"GET", "/api/v1/events", with(calls), 403},
		"expired":              {"GET", "/api/v1/events", with(old), 401},
		"no token any more":    {"GET", "/api/v1/events", func(*http.Request) {}, 401},
		"wrong":                {"GET", "/api/v1/events", with("swt_" + strings.Repeat("0", 52)), 401},
		"empty":                {"GET", "/api/v1/events", with(""), 401},
		"cut short":            {"GET", "/api/v1/events", with(admin[:len(admin)-1]), 401},
		"basic":                {"GET", "/api/v1/events", header("Authorization", "Basic "+admin), 401},
		"two":                  {"GET", "/api/v1/events", func(r *http.Request) { with(admin)(r); with(read)(r) }, 401},
		"in the query":         {"GET", "/api/v1/events?access_token=" + admin, func(*http.Request) {}, 401},
		"openapi needs it too": {"GET", "/api/v1/openapi.json", func(*http.Request) {}, 401},
		"health does not":      {"GET", "/healthz", func(*http.Request) {}, 200},
		"readiness does not":   {"GET", "/readyz", from("192.0.2.1:1"), 200},
	} {
		b.advance(time.Minute) // the throttle forgets
		if code, body := b.do(c.method, c.path, "", c.change); code != c.want {
			t.Errorf("%s: %d %s, want %d", name, code, body, c.want)
		}
	}
}

func TestAuth_BeyondLoopback(t *testing.T) {
	b := newBench(t, listen("0.0.0.0:8081"))
	for _, path := range []string{"/api/v1/status", "/api/v1/openapi.json", "/api/v1/nowhere"} {
		if p := b.refused(403, "GET", path, ""); !strings.Contains(p.Hint, "seawall token create") {
			t.Errorf("%s: hint %q", path, p.Hint)
		}
	}
	admin := b.token("ops", time.Time{}, "admin")
	if code, _ := b.do("GET", "/api/v1/status", "", with(admin)); code != 200 {
		t.Errorf("with a token: %d", code)
	}
}

func TestAuth_Throttle(t *testing.T) {
	b := newBench(t)
	admin := b.token("ops", time.Time{}, "admin")
	var got []int
	for range 12 {
		code, _ := b.do("GET", "/api/v1/status", "", with("swt_guess"))
		got = append(got, code)
	}
	if want := "[401 401 401 401 401 401 401 401 401 401 429 429]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
	if code, _ := b.do("GET", "/api/v1/status", "", with(admin)); code != 200 {
		t.Errorf("a valid token is kept out: %d", code)
	}
	if code, _ := b.do("GET", "/api/v1/status", "", with("swt_guess"), from("192.0.2.7:1")); code != 401 {
		t.Errorf("another peer is throttled too: %d", code)
	}
	b.advance(time.Second)
	if code, _ := b.do("GET", "/api/v1/status", "", with("swt_guess")); code != 401 {
		t.Errorf("the throttle does not forget: %d", code)
	}
	for i := range 3000 {
		b.do("GET", "/api/v1/status", "", with("swt_guess"), from(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250)))
	}
}

func TestAuth_PlainBodies(t *testing.T) {
	b := newBench(t)
	ids := b.dead(1)
	path := "/api/v1/deliveries/" + ids[0].String() + "/replay"
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json2", ""} {
		b.refused(415, "POST", path, `{}`, bare("Content-Type"), header("Content-Type", media))
	}
	b.refused(415, "POST", path, `{}`, bare("Content-Type"))
	b.refused(415, "POST", path, ``, header("Content-Type", "text/plain"))
	if code, body := b.do("POST", path, ""); code != 200 {
		t.Errorf("no body: %d %s", code, body)
	}
	big := `{"config":"` + strings.Repeat("x", 2<<20) + `"}`
	b.refused(413, "POST", path, big)
}

func TestTokens(t *testing.T) {
	b := newBench(t)
	made := post[api.Token](b, "/api/v1/tokens", api.TokenRequest{Name: "ops", Scopes: []string{"admin"}, Expire: "90d"})
	if !strings.HasPrefix(made.Secret, "swt_") || len(made.Secret) != 4+52 {
		t.Errorf("secret %q", made.Secret)
	}
	if want := epoch.Add(90 * 24 * time.Hour); !made.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", made.Expires, want)
	}
	// From here on a token is needed, at once.
	b.refused(401, "GET", "/api/v1/tokens", "")
	me := with(made.Secret)
	list := get[api.Page[api.Token]](b, "/api/v1/tokens", me)
	if len(list.Data) != 1 || list.Data[0].Secret != "" || list.Data[0].Name != "ops" {
		t.Errorf("list: %+v", list)
	}
	b.refused(409, "POST", "/api/v1/tokens", `{"name":"ops","scopes":["read"]}`, me)
	b.refused(422, "POST", "/api/v1/tokens", `{"name":"x","scopes":["root"]}`, me)
	b.refused(422, "POST", "/api/v1/tokens", `{"name":"x","scopes":["calls:"]}`, me)
	b.refused(422, "POST", "/api/v1/tokens", `{"name":"a b","scopes":["read"]}`, me)
	b.refused(422, "POST", "/api/v1/tokens", `{"name":"x","scopes":["read"],"expires":"2020-01-01T00:00:00Z"}`, me)
	b.refused(404, "DELETE", "/api/v1/tokens/nobody", "", me)
	if code, body := b.do("DELETE", "/api/v1/tokens/ops", "", me); code != 204 {
		t.Errorf("delete: %d %s", code, body)
	}
	acts := get[api.Page[api.Action]](b, "/api/v1/actions")
	var did []string
	for _, a := range acts.Data {
		did = append(did, a.By+" "+a.What+" "+a.On)
	}
	if want := "[ops token.delete ops local token.create ops]"; fmt.Sprint(did) != want {
		t.Errorf("actions %v, want %v", did, want)
	}
}

func TestTokens_EndWithinASecond(t *testing.T) {
	b := newBench(t)
	b.token("other", time.Time{}, "read")
	admin := b.token("ops", time.Time{}, "admin")
	get[api.Status](b, "/api/v1/status", with(admin))
	b.must(b.store.DeleteToken(b.Context(), "ops", seawall.Action{})) // by another process
	b.advance(time.Second)
	b.refused(401, "GET", "/api/v1/status", "", with(admin))
}

// Nobody who is not known yet is told why the store cannot say who he is.
func TestAuth_WhereTheStoreIsIsNotTold(t *testing.T) {
	b := newBench(t)
	b.token("me", time.Time{}, "admin")
	b.must(b.store.Close())
	p := b.refused(503, "GET", "/api/v1/events", "")
	if strings.Contains(p.Detail+p.Hint, "closed") {
		t.Errorf("the problem tells what the store said: %+v", p)
	}
	if !strings.Contains(b.log.String(), "closed") {
		t.Errorf("the log does not: %s", b.log)
	}
}
