package shape

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func template(t testing.TB, source string) *expr.Template {
	t.Helper()
	c, err := expr.CompileTemplate(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return c
}

func code(t testing.TB, source string) *expr.Code {
	t.Helper()
	c, err := expr.Compile(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return c
}

func headers(t testing.TB, pairs ...string) (hs []config.Header) {
	for i := 0; i < len(pairs); i += 2 {
		hs = append(hs, config.Header{Name: pairs[i], Value: template(t, pairs[i+1])})
	}
	return hs
}

func event() *seawall.Event {
	return &seawall.Event{
		ID: seawall.NewEventID(now, bytes.NewReader(make([]byte, 10))), Source: "shop", SourceID: "s1",
		Type: "orders/create", Entity: "order/1001", Version: "7",
		Headers: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Shopify-Topic": {"orders/create"}},
		Body:    []byte(`{"id": 1001, "email": "a@b.example", "big": 12345678901234567890, "name": "a/b c"}`),
	}
}

func delivery(ev *seawall.Event) *seawall.Delivery {
	return &seawall.Delivery{ID: ev.ID.Delivery(1), Route: "r", Destination: "dest", Attempts: 2}
}

// shape shapes the test event for a destination, with a route to it.
func shape(t testing.TB, d *config.Destination, r *config.Route, ev *seawall.Event, secrets ...string) (*send.Request, *seawall.Request, error) {
	t.Helper()
	d.Name = "dest"
	if d.URL == nil {
		d.URL = template(t, "https://x.example/hooks")
	}
	if r == nil {
		r = &config.Route{}
	}
	r.Name, r.From, r.To = "r", "shop", "dest"
	s := New(&config.Config{Destinations: []*config.Destination{d}, Routes: []*config.Route{r}, Secrets: secrets}, "v1.2.3")
	return s.Shape(t.Context(), delivery(ev), ev, now, Given{})
}

func mustShape(t testing.TB, d *config.Destination, r *config.Route, ev *seawall.Event, secrets ...string) (*send.Request, *seawall.Request) {
	t.Helper()
	out, shown, err := shape(t, d, r, ev, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return out, shown
}

func TestPlainRequest(t *testing.T) {
	ev := event()
	key := []byte("0123456789abcdef0123456789abcdef")
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	out, shown := mustShape(t, &config.Destination{Sign: []provider.Secret{{Value: secret}}}, nil, ev)

	id := ev.ID.Delivery(1).String()
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, now.Unix(), ev.Body)
	want := http.Header{
		"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"seawall/v1.2.3"},
		"Webhook-Id": {id}, "Webhook-Timestamp": {fmt.Sprint(now.Unix())},
		"Webhook-Signature": {"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		"Idempotency-Key":   {id}, "Seawall-Event": {ev.ID.String()}, "Seawall-Attempt": {"3"},
		"Seawall-Type": {"orders/create"}, "Seawall-Entity": {"order/1001"}, "Seawall-Version": {"7"},
		"Traceparent": out.Header["Traceparent"],
	}
	if fmt.Sprint(out.Header) != fmt.Sprint(want) {
		t.Errorf("headers\n%v, want\n%v", out.Header, want)
	}
	if out.Method != "POST" || out.URL.String() != "https://x.example/hooks" || string(out.Body) != string(ev.Body) {
		t.Errorf("%s %s %s", out.Method, out.URL, out.Body)
	}
	if !shown.Original || shown.Body != nil || shown.BodySize != int64(len(ev.Body)) || shown.URL != "https://x.example/hooks" ||
		shown.Method != "POST" || fmt.Sprint(shown.Headers) != fmt.Sprint(want) {
		t.Errorf("kept %+v", shown)
	}
	delete(out.Header, "Idempotency-Key") // the sender may do as it likes with its own
	if shown.Headers.Get("Idempotency-Key") == "" {
		t.Error("what is kept shares its headers with what is sent")
	}
}

func TestContent(t *testing.T) {
	long := event()
	long.Body = []byte(`{"text":"` + strings.Repeat("x", 100<<10) + `"}`)
	form := event()
	form.Headers = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	form.Body = []byte("From=%2B1&Body=hi")
	bare := event()
	bare.Headers, bare.Body = nil, []byte{0xff, 0x00}

	for _, c := range []struct {
		name      string
		ev        *seawall.Event
		method    string
		transform string
		body      string
		kind      string // configured content type
		want      string
		wantKind  string
		original  bool
	}{
		{name: "raw", want: string(event().Body), wantKind: "application/json; charset=utf-8", original: true},
		{name: "raw bytes", ev: bare, want: "\xff\x00", original: true},
		{name: "raw form", ev: form, want: "From=%2B1&Body=hi", wantKind: "application/x-www-form-urlencoded", original: true},
		{name: "transform", transform: `{id, big}`, want: `{"big":12345678901234567890,"id":1001}`, wantKind: "application/json"},
		{name: "body", body: `{mail: .email}`, want: `{"mail":"a@b.example"}`, wantKind: "application/json"},
		{name: "both", transform: `{m: .email}`, body: `[.m]`, want: `["a@b.example"]`, wantKind: "application/json"},
		{name: "form to JSON", ev: form, body: `{from: .From}`, want: `{"from":"+1"}`, wantKind: "application/json"},
		{name: "text is JSON", body: `.email`, want: `"a@b.example"`, wantKind: "application/json"},
		{name: "text", body: `.email`, kind: "text/plain", want: `a@b.example`, wantKind: "text/plain"},
		{name: "other JSON", body: `.email`, kind: "application/cloudevents+json", want: `"a@b.example"`, wantKind: "application/cloudevents+json"},
		{name: "GET", method: "GET"},
		{name: "DELETE", method: "DELETE", transform: `{id}`},
		{name: "DELETE with a body", method: "DELETE", body: `{id}`, want: `{"id":1001}`, wantKind: "application/json"},
		{name: "put", method: `{"put"}`, want: string(event().Body), wantKind: "application/json; charset=utf-8", original: true},
		{name: "long", ev: long, body: `.`, want: string(long.Body), wantKind: "application/json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, r := &config.Destination{}, &config.Route{}
			if c.method != "" {
				d.Method = template(t, c.method)
			}
			if c.transform != "" {
				r.Transform = code(t, c.transform)
			}
			if c.body != "" {
				d.Body = code(t, c.body)
			}
			if c.kind != "" {
				d.Headers = headers(t, "content-type", c.kind)
			}
			if c.ev == nil {
				c.ev = event()
			}
			out, shown := mustShape(t, d, r, c.ev)
			if string(out.Body) != c.want || out.Header.Get("Content-Type") != c.wantKind {
				t.Errorf("%.200s as %q, want %.200s as %q", out.Body, out.Header.Get("Content-Type"), c.want, c.wantKind)
			}
			if shown.Original != c.original || len(shown.Body) > keepBody || shown.BodySize != int64(len(c.want)) {
				t.Errorf("kept: original %v, %d bytes of %d", shown.Original, len(shown.Body), shown.BodySize)
			}
			if !c.original && string(shown.Body) != c.want[:min(len(c.want), keepBody)] {
				t.Errorf("kept %.100s", shown.Body)
			}
		})
	}
}

func TestTemplates(t *testing.T) {
	d := &config.Destination{
		URL:               template(t, "https://x.example/o/{.name}?mail={.email}&none={.none}"),
		Headers:           headers(t, "x-name", "n {.name}", "X-None", "{.none}", "User-Agent", "me"),
		IdempotencyHeader: "x-request-key",
	}
	out, shown := mustShape(t, d, nil, event())
	if want := "https://x.example/o/a%2Fb%20c?mail=a%40b.example&none="; out.URL.String() != want || shown.URL != want {
		t.Errorf("url %s, kept %s", out.URL, shown.URL)
	}
	if out.Header.Get("X-Name") != "n a/b c" || out.Header.Get("User-Agent") != "me" || out.Header["X-None"] != nil {
		t.Errorf("headers %v", out.Header)
	}
	if out.Header.Get("X-Request-Key") != event().ID.Delivery(1).String() || out.Header.Get("Idempotency-Key") != "" {
		t.Errorf("idempotency header: %v", out.Header)
	}
	// Templates see what the transform makes.
	r := &config.Route{Transform: code(t, `{name: "t"}`)}
	out, _ = mustShape(t, &config.Destination{URL: template(t, "https://x.example/{.name}/{$event.type}")}, r, event())
	if want := "https://x.example/t/orders%2Fcreate"; out.URL.String() != want {
		t.Errorf("url %s, want %s", out.URL, want)
	}
}

func TestFaults(t *testing.T) {
	broken := event()
	broken.Body = []byte(`{"a":`)
	lines := event()
	lines.Body = []byte(`{"a":"b\r\nX-Evil: 1"}`)
	for _, c := range []struct {
		name string
		ev   *seawall.Event
		d    *config.Destination
		r    *config.Route
		want string
	}{
		{"transform", nil, &config.Destination{}, &config.Route{Transform: code(t, `error("no")`)}, `shape: route "r": transform: no`},
		{"transform to nothing", nil, &config.Destination{}, &config.Route{Transform: code(t, `empty`)}, `shape: route "r": transform: gives null: there is nothing to send`},
		{"body", nil, &config.Destination{Body: code(t, `error("no")`)}, nil, `shape: destination "dest": body: no`},
		{"body of nothing", nil, &config.Destination{Body: code(t, `.none`)}, nil, `shape: destination "dest": body: gives null`},
		{"broken payload", broken, &config.Destination{Body: code(t, `.`)}, nil, `shape: destination "dest": body: payload: `},
		{"no path", nil, &config.Destination{URL: template(t, "https://x.example/{.none}")}, nil, `shape: destination "dest": url: {.none}: `},
		{"climbing path", nil, &config.Destination{URL: template(t, `https://x.example/{".."}`)}, nil, `shape: destination "dest": url: `},
		{"no URL", nil, &config.Destination{URL: template(t, "ftp://x.example/")}, nil, `shape: destination "dest": url: scheme "ftp" is neither http nor https`},
		{"no host", nil, &config.Destination{URL: template(t, "https:///x")}, nil, `shape: destination "dest": url: no host`},
		{"method", nil, &config.Destination{Method: template(t, "{.email}")}, nil, `shape: destination "dest": method: "A@B.EXAMPLE" is no method`},
		{"connect", nil, &config.Destination{Method: template(t, "connect")}, nil, `shape: destination "dest": method: "CONNECT"`},
		{"injected header", lines, &config.Destination{Headers: headers(t, "X-A", "{.a}")}, nil, `shape: destination "dest": header "X-A": `},
		{"header name", nil, &config.Destination{Headers: headers(t, "X A", "1")}, nil, `header "X A": not a header name`},
		{"host", nil, &config.Destination{Headers: headers(t, "host", "y")}, nil, `header "host": it belongs to the connection`},
		{"length", nil, &config.Destination{Headers: headers(t, "content-length", "1")}, nil, `header "content-length": it belongs to the connection`},
		{"chunks", nil, &config.Destination{Headers: headers(t, "transfer-encoding", "chunked")}, nil, `header "transfer-encoding": it belongs to the connection`},
		{"ours", nil, &config.Destination{Headers: headers(t, "seawall-event", "x")}, nil, `header "seawall-event": it is the gateway's own`},
		{"key", nil, &config.Destination{Headers: headers(t, "Idempotency-Key", "x")}, nil, `header "Idempotency-Key": it is the gateway's own`},
		{"trace", nil, &config.Destination{Headers: headers(t, "traceparent", "x")}, nil, `header "traceparent": it is the gateway's own`},
		{"signature", nil, &config.Destination{Headers: headers(t, "webhook-signature", "x")}, nil, `header "webhook-signature": it is the gateway's own`},
		{"forward and transform", nil, &config.Destination{Forward: true}, &config.Route{Transform: code(t, `.`)}, `shape: route "r": a transform cannot apply`},
		{"expired", nil, &config.Destination{Sign: []provider.Secret{{Value: "whsec_MDEyMw==", Expires: now}}}, nil, `sign: every secret has expired`},
	} {
		ev := c.ev
		if ev == nil {
			ev = event()
		}
		out, shown, err := shape(t, c.d, c.r, ev)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != nil || shown != nil {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}

	s := New(&config.Config{}, "")
	if _, _, err := s.Shape(t.Context(), delivery(event()), event(), now, Given{}); err == nil || !strings.Contains(err.Error(), `destination "dest" is not in the configuration`) {
		t.Errorf("unknown destination: %v", err)
	}
}

func TestSecretsInRotation(t *testing.T) {
	a, b := "whsec_"+base64.StdEncoding.EncodeToString([]byte("aaaaaaaaaaaaaaaaaaaaaaaa")), "whsec_"+base64.StdEncoding.EncodeToString([]byte("bbbbbbbbbbbbbbbbbbbbbbbb"))
	for want, sign := range map[int][]provider.Secret{
		2: {{Value: a}, {Value: b, Expires: now.Add(time.Second)}},
		1: {{Value: a}, {Value: b, Expires: now.Add(-time.Second)}},
	} {
		out, _ := mustShape(t, &config.Destination{Sign: sign}, nil, event())
		if got := len(strings.Fields(out.Header.Get("Webhook-Signature"))); got != want {
			t.Errorf("%d signatures, want %d", got, want)
		}
	}
	if out, _ := mustShape(t, &config.Destination{}, nil, event()); out.Header["Webhook-Signature"] != nil || out.Header.Get("Webhook-Id") == "" {
		t.Errorf("unsigned: %v", out.Header)
	}
}

func TestRenamedDestination(t *testing.T) {
	ev := event()
	s := New(&config.Config{
		Destinations: []*config.Destination{{Name: "new", RenamedFrom: "dest", URL: template(t, "https://x.example/")}},
		Routes:       []*config.Route{{Name: "r", To: "new"}},
	}, "")
	out, _, err := s.Shape(t.Context(), delivery(ev), ev, now, Given{})
	if err != nil || out.URL.Host != "x.example" || out.Header.Get("User-Agent") != "seawall" {
		t.Errorf("%+v, %v", out, err)
	}
}
