package shape

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

func TestPathsStayBelowTheBase(t *testing.T) {
	for _, c := range []struct{ base, path, want string }{
		{"https://api.example.com", "/v1/charges?limit=1", "https://api.example.com/v1/charges?limit=1"},
		{"https://api.example.com/", "/v1", "https://api.example.com/v1"},
		{"https://api.example.com/base/", "/v1/a%2Fb", "https://api.example.com/base/v1/a%2Fb"},
		{"https://api.example.com/b%20c", "/x", "https://api.example.com/b%20c/x"},
		{"https://api.example.com/?v=2", "/x?y=1&y=2", "https://api.example.com/x?v=2&y=1&y=2"},
		{"https://api.example.com", "/x?", "https://api.example.com/x"},
		{"https://api.example.com", "/@evil.example/", "https://api.example.com/@evil.example/"},
		{"https://api.example.com", "/a//b", "https://api.example.com/a//b"},
		{"https://api.example.com/base", "//evil.example/x", ""},
		{"https://api.example.com/base", "evil.example/x", ""},
		{"https://api.example.com/base", "https://evil.example/x", ""},
		{"https://api.example.com/base", "/../x", ""},
		{"https://api.example.com/base", "/a/..", ""},
		{"https://api.example.com/base", "/a/..;x/b", ""},
		{"https://api.example.com/base", "/..%3B/b", ""},
		{"https://api.example.com/base", "/%2e%2E/x", ""},
		{"https://api.example.com/base", "/a%2f..%2f..", ""},
		{"https://api.example.com/base", `/..\x`, ""},
		{"https://api.example.com/base", "/%5c..%5cx", ""},
		{"https://api.example.com/base", "/./x", ""},
		{"https://api.example.com/base", "/%zz", ""},
		{"https://api.example.com/base", "", ""},
	} {
		base, err := url.Parse(c.base)
		if err != nil {
			t.Fatal(err)
		}
		got, err := join(base, c.path)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s: %s", c.path, got)
		case c.want != "" && (err != nil || got.String() != c.want || got.Host != "api.example.com"):
			t.Errorf("%s: %s, %v, want %s", c.path, got, err, c.want)
		}
	}
}

func charge() (*config.System, *seawall.Delivery, *seawall.Event) {
	base, _ := url.Parse("https://api.example.com/v1")
	y := &config.System{Name: "bank", URL: base, Idempotency: config.Idempotency{Header: "x-request-key", Valid: time.Hour}}
	ev := event()
	ev.Source, ev.Method, ev.URL, ev.Body = seawall.SourceCalls, "POST", "/charges?expand=all", []byte(`{"order":"A 1"}`)
	ev.Headers = http.Header{"Content-Type": {"application/json"}, "Connection": {"close"}, "X-Tenant-Token": {"t0p"}}
	return y, &seawall.Delivery{ID: ev.ID.Delivery(1), Route: seawall.SourceCalls, Destination: seawall.CallsTo("bank")}, ev
}

func TestCallIsSentAsItCame(t *testing.T) {
	y, d, ev := charge()
	s := New(&config.Config{}, "1")
	for n := range 3 { // the key is the same on each try
		d.Attempts = n
		out, record, err := s.Call(y, d, ev)
		if err != nil {
			t.Fatal(err)
		}
		if out.Method != "POST" || out.URL.String() != "https://api.example.com/v1/charges?expand=all" || string(out.Body) != string(ev.Body) {
			t.Errorf("%s %s %s", out.Method, out.URL, out.Body)
		}
		for name, want := range map[string]string{
			"X-Request-Key": d.ID.String(), "Idempotency-Key": "", "Content-Type": "application/json", "Connection": "",
			"User-Agent": "seawall/1", "Webhook-Id": "", "Seawall-Event": "", "X-Tenant-Token": "t0p",
		} {
			if got := out.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if !record.Original || record.Headers.Get("X-Tenant-Token") != redacted || record.BodySize != int64(len(ev.Body)) {
			t.Errorf("record %+v", record)
		}
	}
	if len(ev.Headers) != 3 {
		t.Errorf("the event's headers were changed: %v", ev.Headers)
	}
	y.Idempotency = config.Idempotency{}
	if out, _, _ := s.Call(y, d, ev); out.Header.Get("X-Request-Key") != "" {
		t.Error("a key for a system that takes none")
	}
}

func TestCheckAsksAboutTheCall(t *testing.T) {
	y, d, ev := charge()
	at, err := expr.CompileTemplate("https://api.example.com/v1/charges?order={$call.body.order}&key={$call.key}", expr.CallVar)
	if err != nil {
		t.Fatal(err)
	}
	out, record, in, err := New(&config.Config{}, "").Check(t.Context(), &config.Check{URL: at}, y, d, ev, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "https://api.example.com/v1/charges?order=A+1&key=" + d.ID.String(); out.Method != "GET" || out.URL.String() != want || record.URL != want {
		t.Errorf("%s %s, want %s", out.Method, out.URL, want)
	}
	if len(out.Body) != 0 || out.Header.Get("X-Request-Key") != "" || out.Header.Get("Idempotency-Key") != "" {
		t.Errorf("%v %s", out.Header, out.Body)
	}
	found, err := expr.Compile(`.data[] | select(.order == $call.body.order)`, expr.CallVar)
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := found.Bool(t.Context(), in.Answered(200, http.Header{}, []byte(`{"data":[{"order":"A 1"}]}`))); !yes || err != nil {
		t.Errorf("found: %v, %v", yes, err)
	}
}

// Where a system is asked by POST, what is looked for is in the body.
func TestCheckSendsABody(t *testing.T) {
	y, d, ev := charge()
	at, err := expr.CompileTemplate("https://api.example.com/search")
	if err != nil {
		t.Fatal(err)
	}
	body, err := expr.Compile("{order: $call.body.order}", expr.CallVar)
	if err != nil {
		t.Fatal(err)
	}
	out, record, _, err := New(&config.Config{}, "").Check(t.Context(), &config.Check{Method: "POST", URL: at, Body: body}, y, d, ev, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"order":"A 1"}`; string(out.Body) != want || string(record.Body) != want || out.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s as %v, kept %s", out.Body, out.Header, record.Body)
	}
}
