package call

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestG6_OneKeyIsOneCall(t *testing.T) {
	m := newMemory()
	c := newCalls(t, m)
	first, err := c.Post(t.Context(), charge("k1"))
	if err != nil || first.Again || first.Assigned {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := c.Post(t.Context(), charge("k1"))
	if err != nil || !again.Again || again.ID() != first.ID() {
		t.Errorf("again: %+v, %v", again, err)
	}
	for name, change := range map[string]func(*Post){
		"method": func(p *Post) { p.Method = "PUT" },
		"path":   func(p *Post) { p.Path = "/v1/charges?x=2" },
		"body":   func(p *Post) { p.Body = []byte(`{"amount":6}`) },
		"type":   func(p *Post) { p.Headers = http.Header{"Content-Type": {"text/plain"}} },
	} {
		p := charge("k1")
		change(&p)
		if _, err := c.Post(t.Context(), p); !errors.Is(err, ErrOther) {
			t.Errorf("another %s under the same key: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Post){
		"key":       func(p *Post) { p.Key = "k2" },
		"principal": func(p *Post) { p.By = "shop/k1" },
	} {
		p := charge("k1")
		change(&p)
		if other, err := c.Post(t.Context(), p); err != nil || other.Again {
			t.Errorf("another %s: %+v, %v", name, other, err)
		}
	}
	if len(m.accepted) != 3 {
		t.Errorf("%d calls, want 3", len(m.accepted))
	}
}

// The event and the delivery that a call is.
func TestPostedCallIsAnEvent(t *testing.T) {
	m := newMemory()
	c := newCalls(t, m)
	p, err := c.Post(t.Context(), charge("order/1001"))
	if err != nil {
		t.Fatal(err)
	}
	a := m.accepted[0]
	ev, d := a.Event, a.Deliveries[0]
	if ev.Source != "calls" || ev.SourceID != "payments/shop/order/1001" || ev.Type != "POST /v1/charges" ||
		ev.Method != "POST" || ev.URL != "/v1/charges?x=1" || ev.Routing != seawall.Routed || ev.Revision != 3 {
		t.Errorf("event %+v", ev)
	}
	if d.Destination != "calls:payments" || d.System != "payments" || d.State != seawall.Pending || d.ID != ev.ID.Delivery(1) || d.Due.IsZero() || d.Since.IsZero() {
		t.Errorf("delivery %+v", d)
	}
	if left := time.Until(a.Expires); left > Horizon || left < Horizon-time.Minute {
		t.Errorf("the key is remembered for %s", left)
	}
	if p.System != "payments" || p.By != "shop" || p.Key != "order/1001" || p.ID() != ev.ID.Call() {
		t.Errorf("call %s %s %s %s", p.System, p.By, p.Key, p.ID())
	}
}

// Routes from the calls get deliveries of their own, and leave the call the first.
func TestRoutesMayWatchCalls(t *testing.T) {
	m := newMemory()
	c := newCalls(t, m)
	c.Current().Plan = func(ev *seawall.Event, now time.Time) (seawall.Routing, []seawall.Decision, []seawall.Delivery) {
		return seawall.Routed, []seawall.Decision{{Route: "audit", Matched: true}}, []seawall.Delivery{{ID: ev.ID.Delivery(1), Destination: "audit"}}
	}
	if _, err := c.Post(t.Context(), charge("k")); err != nil {
		t.Fatal(err)
	}
	ds := m.accepted[0].Deliveries
	if len(ds) != 2 || ds[0].Destination != "calls:payments" || ds[1].Destination != "audit" || ds[1].ID.N() != 2 {
		t.Errorf("%+v", ds)
	}
}

func TestKeyIsNeededForWhatIsUnsafe(t *testing.T) {
	m := newMemory()
	c := newCalls(t, m)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		p := charge("")
		p.Method = method
		if _, err := c.Post(t.Context(), p); !errors.Is(err, ErrKeyMissing) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if len(m.accepted) != 0 {
		t.Fatalf("%d were accepted", len(m.accepted))
	}
	safe, notes := charge(""), charge("")
	safe.Method, notes.Path = "GET", "/v1/notes/7?a=b"
	for _, p := range []Post{safe, notes} {
		one, err1 := c.Post(t.Context(), p)
		two, err2 := c.Post(t.Context(), p)
		if err1 != nil || err2 != nil || !one.Assigned || one.ID() == two.ID() || one.Key != one.ID() {
			t.Errorf("%s %s: %v, %v", p.Method, p.Path, err1, err2)
		}
	}
}

func TestG1_CallThatIsNotDurableIsRefused(t *testing.T) {
	m := newMemory()
	m.fails = seawall.Errorf(seawall.ErrUnavailable, "disk full")
	told := make(chan bool, 1)
	c := newCalls(t, m, func(o *Options) {
		o.Reserve = func([]store.Acceptance) func([]store.Accepted) {
			return func(done []store.Accepted) { told <- done == nil }
		}
	})
	if _, err := c.Post(t.Context(), charge("k")); !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if !<-told {
		t.Error("the queues were told that it was accepted")
	}
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Post){
		"no method":                     func(p *Post) { p.Method = "" },
		"small method":                  func(p *Post) { p.Method = "post" },
		"tunnel":                        func(p *Post) { p.Method = "CONNECT" },
		"method with blank":             func(p *Post) { p.Method = "GET /" },
		"no path":                       func(p *Post) { p.Path = "" },
		"relative":                      func(p *Post) { p.Path = "v1" },
		"other host":                    func(p *Post) { p.Path = "//evil.example/x" },
		"absolute":                      func(p *Post) { p.Path = "http://evil.example/" },
		"up":                            func(p *Post) { p.Path = "/v1/../admin" },
		"up, with a parameter":          func(p *Post) { p.Path = "/v1/..;a/admin" },
		"escaped up":                    func(p *Post) { p.Path = "/v1/%2e%2E/admin" },
		"escaped slash up":              func(p *Post) { p.Path = "/v1/..%2fadmin" },
		"escaped backslash up":          func(p *Post) { p.Path = "/v1/..%5cadmin" },
		"blank":                         func(p *Post) { p.Path = "/a b" },
		"line break":                    func(p *Post) { p.Path = "/a\r\nX: y" },
		"fragment":                      func(p *Post) { p.Path = "/a#b" },
		"bad escape":                    func(p *Post) { p.Path = "/%zz" },
		"authorization":                 func(p *Post) { p.Headers = http.Header{"Authorization": {"x"}} },
		"system's key":                  func(p *Post) { p.Headers = http.Header{"X-Pay-Key": {"x"}} },
		"system's key in small letters": func(p *Post) { p.Headers = http.Header{"x-pay-key": {"x"}} },
		"cookie":                        func(p *Post) { p.Headers = http.Header{"Cookie": {"x"}} },
		"host":                          func(p *Post) { p.Headers = http.Header{"Host": {"x"}} },
		"length":                        func(p *Post) { p.Headers = http.Header{"Content-Length": {"x"}} },
		"idempotency key":               func(p *Post) { p.Headers = http.Header{"Idempotency-Key": {"x"}} },
		"idempotency key of the system": func(p *Post) { p.Headers = http.Header{"Pay-Request-Id": {"x"}} },
		"injection":                     func(p *Post) { p.Headers = http.Header{"X-A": {"a\r\nX-B: c"}} },
		"bad name":                      func(p *Post) { p.Headers = http.Header{"X A": {"a"}} },
		"our own":                       func(p *Post) { p.Headers = http.Header{"Seawall-Event": {"a"}} },
		"many headers":                  func(p *Post) { p.Headers = http.Header{"X-A": {string(make([]byte, 40<<10))}} },
		"unknown system":                func(p *Post) { p.System = "other" },
	} {
		m := newMemory()
		p := charge("k")
		change(&p)
		if _, err := newCalls(t, m).Post(t.Context(), p); err == nil || len(m.accepted) != 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}
