package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/metrics"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

type ctxt = context.Context

func TestDestinations(t *testing.T) {
	b := newBench(t)
	b.dead(2)
	b.accept("evt_1", "{}", "orders", "gone")
	c := b.client("")
	list, err := c.Destinations(t.Context())
	b.must(err)
	var names []string
	for _, d := range list {
		names = append(names, d.Name)
	}
	if want := []string{"orders", "mail", "gone"}; !reflect.DeepEqual(names, want) {
		t.Fatalf("%v, want %v", names, want)
	}
	if d := list[0]; d.Pending != 1 || d.Dead != 2 || !d.OldestDue.Equal(b.clock()) || d.Gate != "open" || !d.Configured {
		t.Errorf("%+v", d)
	}
	if list[2].Configured || list[2].Pending != 1 {
		t.Errorf("%+v", list[2])
	}
	d, err := c.Pause(t.Context(), "orders", "they are moving")
	b.must(err)
	if d.Gate != "paused" || d.GateReason != "they are moving" || d.GateBy != "local" || !d.GateAt.Equal(b.clock()) || b.gateway.woken["orders"] != 1 {
		t.Errorf("%+v, woken %v", d, b.gateway.woken)
	}
	d, err = c.Resume(t.Context(), "orders", "")
	b.must(err)
	if d.Gate != "open" || d.GateReason != "" || b.gateway.woken["orders"] != 2 {
		t.Errorf("%+v, woken %v", d, b.gateway.woken)
	}
	d, err = c.Destination(t.Context(), "mail")
	b.must(err)
	if d.Concurrency != 4 {
		t.Errorf("%+v", d)
	}
	if _, err = c.Pause(t.Context(), "nowhere", ""); !errors.Is(err, seawall.ErrNotFound) {
		t.Error(err)
	}
	acts, err := c.Actions(t.Context(), api.ActionQuery{On: "orders"})
	b.must(err)
	if len(acts.Data) != 2 || acts.Data[0].What != "resume" || acts.Data[1].Detail["reason"] != "they are moving" {
		t.Errorf("%+v", acts)
	}
}

func TestDestinations_Host(t *testing.T) {
	b := newBench(t)
	for text, want := range map[string]string{
		"https://orders.internal/hooks":                 "orders.internal",
		"https://user:hunter2@orders.internal:8443/x":   "orders.internal:8443",
		"https://orders.internal/{.id}":                 "orders.internal",
		"https://orders.internal?id={.id}":              "orders.internal",
		"https://shop-{.shop}.example/hooks?key=secret": "",
		"{.callback}": "",
	} {
		u, err := expr.CompileTemplate(text)
		b.must(err)
		b.gateway.config.Destinations[0].URL = u
		code, body := b.do("GET", "/api/v1/destinations/orders", "")
		var d api.Destination
		b.must(json.Unmarshal(body, &d))
		if code != 200 || d.Host != want || strings.Contains(string(body), "hunter2") {
			t.Errorf("%s: %d %s, want host %q", text, code, body, want)
		}
	}
}

func TestConfig(t *testing.T) {
	b := newBench(t)
	c := b.client("")
	sources, err := c.Sources(t.Context())
	b.must(err)
	if want := (api.Source{Name: "stripe", Provider: "stripe", Path: "/in/stripe", URL: "https://hooks.example.com/in/stripe", MaxBody: 5 << 20, DedupeS: 2592000}); len(sources) != 1 || sources[0] != want {
		t.Errorf("%+v", sources)
	}
	routes, err := c.Routes(t.Context())
	b.must(err)
	if len(routes) != 2 || routes[1].Types[0] != "invoice.*" || routes[0].Types == nil {
		t.Errorf("%+v", routes)
	}
	_, err = b.store.AddRevision(t.Context(), epoch.Add(time.Hour), "ops", []byte("sources: {a: 1}\n"))
	b.must(err)
	running, err := c.Config(t.Context())
	b.must(err)
	if running.Number != 1 || running.Text != "sources: {}\n" || !running.Running || running.By != "start" {
		t.Errorf("%+v", running)
	}
	revisions, err := c.Revisions(t.Context(), api.Paging{Limit: 1})
	b.must(err)
	if len(revisions.Data) != 1 || revisions.Data[0].Number != 2 || revisions.Data[0].Running || revisions.Data[0].Text != "" || revisions.Next == "" {
		t.Errorf("%+v", revisions)
	}
	r, err := c.Revision(t.Context(), 2)
	b.must(err)
	if r.Text != "sources: {a: 1}\n" {
		t.Errorf("%+v", r)
	}
	if _, err := c.Revision(t.Context(), 3); !errors.Is(err, seawall.ErrNotFound) {
		t.Error(err)
	}
}

func TestConfig_Reload(t *testing.T) {
	b := newBench(t)
	c := b.client("")
	b.gateway.reload = func(by string, drop bool) (seawall.Revision, []string, error) {
		if !drop {
			return seawall.Revision{}, nil, seawall.Errorf(seawall.ErrConflict, "destination mail still has 3 deliveries").WithHint("drop: true")
		}
		return seawall.Revision{Number: 2, At: epoch, By: by, Text: []byte("x")}, []string{"mail is gone"}, nil
	}
	_, err := c.Reload(t.Context(), api.ReloadRequest{})
	if !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) != "drop: true" {
		t.Errorf("%v, hint %q", err, seawall.Hint(err))
	}
	r, err := c.Reload(t.Context(), api.ReloadRequest{Drop: true})
	b.must(err)
	if r.Number != 2 || r.By != "local" || !r.Running || !reflect.DeepEqual(r.Warnings, []string{"mail is gone"}) {
		t.Errorf("%+v", r)
	}
}

func TestArrivals(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders")
	b.accept("evt_1", "{}", "orders")
	b.must(b.store.Refuse(t.Context(), seawall.Arrival{Source: "stripe", At: epoch.Add(time.Minute), Verdict: seawall.Rejected,
		Reason: "signature_mismatch", Detail: "wrong secret", Status: 401, Method: "POST", URL: "https://hooks.example.com/in/stripe",
		Headers: http.Header{"Stripe-Signature": {"t=1,v1=00"}}, Body: []byte("\xff{}"), BodySize: 3, Remote: "203.0.113.9"}))
	c := b.client("")
	for want, q := range []api.ArrivalQuery{{Verdict: "conflict"}, {Verdict: "rejected"}, {Source: "stripe"}} {
		l, err := c.Arrivals(t.Context(), q)
		b.must(err)
		if len(l.Data) != want {
			t.Errorf("%+v: %d", q, len(l.Data))
		}
	}
	l, err := c.Arrivals(t.Context(), api.ArrivalQuery{Event: ev.ID.String()})
	b.must(err)
	if len(l.Data) != 1 || l.Data[0].Verdict != "duplicate" || l.Data[0].Event != ev.ID.String() {
		t.Errorf("%+v", l)
	}
	l, err = c.Arrivals(t.Context(), api.ArrivalQuery{Verdict: "rejected"})
	b.must(err)
	a, err := c.Arrival(t.Context(), l.Data[0].ID)
	b.must(err)
	if a.Reason != "signature_mismatch" || a.Status != 401 || string(a.Body) != "\xff{}" || a.Headers.Get("Stripe-Signature") == "" {
		t.Errorf("%+v", a)
	}
	var raw map[string]any
	code, body := b.do("GET", "/api/v1/arrivals/"+itoa(a.ID)+"/capture", "")
	b.must(json.Unmarshal(body, &raw))
	if code != 200 || raw["body"] != "/3t9" || raw["method"] != "POST" || raw["now"] != "2026-05-01T12:01:00Z" || raw["url"] != "https://hooks.example.com/in/stripe" {
		t.Errorf("%d %s", code, body)
	}
	got, err := c.Capture(t.Context(), a.ID)
	b.must(err)
	if string(got.Body) != "\xff{}" {
		t.Errorf("%+v", got)
	}
	b.refused(404, "GET", "/api/v1/arrivals/999", "")
	b.refused(422, "GET", "/api/v1/arrivals/0", "")
	b.refused(422, "GET", "/api/v1/arrivals?event=evt_", "")
}

func itoa(n int64) string { b, _ := json.Marshal(n); return string(b) }

func TestStatus(t *testing.T) {
	b := newBench(t)
	b.accept("evt_1", "{}", "orders")
	b.advance(90 * time.Second)
	s, err := b.client("").Status(t.Context())
	b.must(err)
	if s.Version != "test" || s.Node != "n1" || s.UptimeS != 90 || s.Revision != 1 || s.StoreSize <= 0 || !s.Ready || s.LatestSeq != 1 || s.Principal != "local" {
		t.Errorf("%+v", s)
	}
}

// ailing is a store whose Ping does what it is told.
type ailing struct {
	store.Store
	err   error
	pings int
}

func (a *ailing) Ping(ctx ctxt) error {
	a.pings++
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("no deadline")
	}
	return a.err
}

func TestReadiness(t *testing.T) {
	stopping := make(chan struct{})
	a := &ailing{}
	b := newBench(t, func(o *api.Options) {
		a.Store = o.Store
		o.Store, o.Stopping = a, stopping
	})
	for range 5 {
		if code, body := b.do("GET", "/readyz", ""); code != 200 || string(body) != "ready\n" {
			t.Errorf("%d %s", code, body)
		}
	}
	if a.pings != 1 {
		t.Errorf("%d pings at one moment", a.pings)
	}
	a.err = errors.New("disk full at /private")
	b.advance(250 * time.Millisecond)
	if p := b.refused(503, "GET", "/readyz", ""); p.Detail != "the store cannot commit" {
		t.Errorf("%+v", p)
	}
	if code, _ := b.do("GET", "/healthz", ""); code != 200 {
		t.Errorf("alive: %d", code)
	}
	b.advance(250 * time.Millisecond)
	b.refused(503, "GET", "/readyz", "")
	a.err = nil
	b.advance(250 * time.Millisecond)
	if code, _ := b.do("GET", "/readyz", ""); code != 200 {
		t.Errorf("again: %d", code)
	}
	b.gateway.trouble = seawall.Errorf(seawall.ErrUnavailable, "revision 8 cannot be run")
	if p := b.refused(503, "GET", "/readyz", ""); p.Detail != "revision 8 cannot be run" {
		t.Errorf("%+v", p)
	}
	log := b.log.String()
	if strings.Count(log, "not ready") != 1 || strings.Count(log, "ready again") != 1 || !strings.Contains(log, "disk full") {
		t.Errorf("log: %s", log)
	}
	close(stopping)
	if p := b.refused(503, "GET", "/readyz", ""); !strings.Contains(p.Detail, "stopping") {
		t.Errorf("%+v", p)
	}
}

func TestMetrics_Door(t *testing.T) {
	m := metrics.New("test")
	b := newBench(t, func(o *api.Options) { o.Metrics = m.Handler() })
	try := func(name string, want int, change ...func(*http.Request)) {
		t.Helper()
		if code, body := b.do("GET", "/metrics", "", change...); code != want || want == 200 && !strings.Contains(string(body), "seawall_build_info") {
			t.Errorf("%s: %d", name, code)
		}
	}
	try("here", 200)
	try("from afar", 403, from("192.0.2.1:1"))
	try("rebound", 403, host("evil.example"))
	read, calls := b.token("prom", time.Time{}, "read"), b.token("shop", time.Time{}, "calls:crm")
	try("here, with tokens about", 200)
	try("from afar without", 401, from("192.0.2.1:1"))
	try("from afar with", 200, from("192.0.2.1:1"), with(read))
	try("from afar, other scope", 403, from("192.0.2.1:1"), with(calls))

	b = newBench(t, listen(":8081"), func(o *api.Options) { o.Metrics = m.Handler() })
	try("beyond loopback, no token", 403)
}

func TestProblems_Elsewhere(t *testing.T) {
	b := newBench(t)
	if p := b.refused(404, "GET", "/api/v1/nowhere", ""); p.Type != "urn:seawall:problem:not-found" {
		t.Errorf("%+v", p)
	}
	if p := b.refused(405, "DELETE", "/api/v1/events", ""); !strings.Contains(p.Detail, "GET") {
		t.Errorf("%+v", p)
	}
	b.refused(405, "PUT", "/api/v1/replays", "")
	for _, path := range []string{"/api/v1/openapi.json", "/api/v1/openapi.yaml"} {
		if code, body := b.do("GET", path, ""); code != 200 || !strings.Contains(string(body), "3.1.0") {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestClient_WithoutGateway(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:8081", "ftp://x", "http://"} {
		if _, err := client.New(bad, "", nil); !errors.Is(err, seawall.ErrInvalid) || seawall.Hint(err) == "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	other := httptest.NewServer(http.NotFoundHandler())
	c, err := client.New(other.URL, "swt_x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, seawall.ErrNotFound) || !strings.Contains(seawall.Hint(err), "admin listener") {
		t.Errorf("%v, hint %q", err, seawall.Hint(err))
	}
	other.Close()
	if _, err := c.Status(t.Context()); !errors.Is(err, seawall.ErrUnavailable) || seawall.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, seawall.Hint(err))
	}
}

// No secret leaves by any answer or log line, wherever it was put.
func TestCanary(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders")
	canary := b.token("canary", time.Time{}, "admin")
	hashed, err := b.store.ListTokens(t.Context())
	b.must(err)
	hash, err := json.Marshal(hashed[0].Hash[:])
	b.must(err)
	wrong := "swt_wrongcanary000000000000000000000000000000000000000000"
	me := with(canary)
	b.gateway.preview = func(string, *seawall.Event, int64) (*seawall.Request, error) { return nil, errors.New("no") }
	var out strings.Builder
	see := func(code int, body []byte) { out.Write(body); out.WriteByte('\n') }
	for _, path := range []string{"/tokens", "/status", "/events", "/events/" + ev.ID.String(), "/deliveries", "/destinations", "/sources", "/routes",
		"/arrivals", "/actions", "/config", "/config/revisions", "/nowhere", "/events?source=" + canary, "/events?limit=" + canary, "/events?cursor=" + canary, "/events?after=" + canary + "&wait=1s"} {
		see(b.do("GET", "/api/v1"+path, "", me))
		see(b.do("GET", "/api/v1"+path, "", with(wrong)))
	}
	see(b.do("POST", "/api/v1/events/"+ev.ID.String()+"/preview", `{"route":"x"}`, me))
	see(b.do("POST", "/api/v1/tokens", `{"name":"`+canary+`","scopes":["read"],"expires":7,"secret":"`+canary+`"}`, me))
	see(b.do("POST", "/api/v1/tokens", `{"name":"canary","scopes":["read"]}`, me))
	made := post[api.Token](b, "/api/v1/tokens", api.TokenRequest{Name: "second", Scopes: []string{"read"}}, me)
	see(b.do("GET", "/api/v1/tokens", "", me))
	see(b.do("GET", "/api/v1/actions", "", me))
	all := out.String() + b.log.String()
	for what, secret := range map[string]string{"token": canary, "wrong token": wrong, "hash": strings.Trim(string(hash), `"`), "new token": made.Secret} {
		if i := strings.Index(all, secret); i >= 0 {
			t.Errorf("the %s is shown: …%s…", what, all[max(0, i-100):min(len(all), i+100)])
		}
	}
	if !strings.Contains(b.log.String(), "token refused") {
		t.Error("the log was not looked at")
	}
}
