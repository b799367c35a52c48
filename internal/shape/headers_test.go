package shape

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/provider"
)

func TestForwardOriginal(t *testing.T) {
	ev := event()
	ev.Headers = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Stripe/1.0"}, "Stripe-Signature": {"t=1,v1=ab"},
		"X-Many": {"a", "b"}, "X-Forwarded-Proto": {"https"}, "Cookie": {"[redacted]"}, "Authorization": {"[redacted]"},
		"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"timeout=5"}, "Te": {"trailers"},
		"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Expect": {"100-continue"}, "Host": {"h"},
		"Content-Length": {"5"}, "Accept-Encoding": {"gzip"}, "Seawall-Event": {"evt_forged"}, "Seawall-Late": {"true"},
	}
	out, shown := mustShape(t, &config.Destination{Forward: true}, nil, ev)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Stripe/1.0", "Stripe-Signature": "t=1,v1=ab",
		"X-Many": "a, b", "X-Forwarded-Proto": "https",
		"Webhook-Id": ev.ID.Delivery(1).String(), "Idempotency-Key": ev.ID.Delivery(1).String(), "Seawall-Event": ev.ID.String(),
		// What is not of the message, or not the sender's to say.
		"Cookie": "", "Authorization": "", "Connection": "", "X-Hop": "", "Keep-Alive": "", "Te": "", "Transfer-Encoding": "",
		"Upgrade": "", "Expect": "", "Host": "", "Content-Length": "", "Accept-Encoding": "", "Seawall-Late": "",
	} {
		if got := strings.Join(out.Header[name], ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if string(out.Body) != string(ev.Body) || !shown.Original {
		t.Errorf("body %s", out.Body)
	}
}

// Of an event that comes too late for its place, the destination is told so.
func TestG5_LateDeliveriesSaySo(t *testing.T) {
	ev := event()
	dest := &config.Destination{Name: "dest", URL: template(t, "https://x.example/hooks")}
	s := New(&config.Config{
		Destinations: []*config.Destination{dest}, Routes: []*config.Route{{Name: "r", From: "shop", To: "dest"}},
	}, "v1")
	for _, late := range []bool{true, false} {
		d := delivery(ev)
		d.Late = late
		out, _, err := s.Shape(t.Context(), d, ev, now, Given{})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Header.Get("seawall-late"); (got == "true") != late {
			t.Errorf("late %t: seawall-late: %q", late, got)
		}
	}
}

// A source of Standard Webhooks signs with the names that we use too: the
// handler behind must still find the sender's.
func TestForwardedHeadersSurvive(t *testing.T) {
	ev := event()
	ev.Headers = http.Header{
		"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {"1"}, "Webhook-Signature": {"v1,theirs"},
		"Idempotency-Key": {"theirs"}, "Traceparent": {"00-theirs"},
	}
	d := &config.Destination{Forward: true, Sign: []provider.Secret{{Value: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}}}
	out, _ := mustShape(t, d, nil, ev)
	for name, values := range ev.Headers {
		if out.Header.Get(name) != values[0] {
			t.Errorf("%s: %q, want the sender's", name, out.Header.Get(name))
		}
		if ours := out.Header.Get("Seawall-" + name); ours == "" || ours == values[0] {
			t.Errorf("ours of %s: %q", name, ours)
		}
	}
	// What the configuration says goes before what was sent.
	ev.Headers["X-A"], ev.Headers["X-B"] = []string{"theirs"}, []string{"theirs"}
	d.Headers = headers(t, "x-a", "mine", "x-b", "")
	out, _ = mustShape(t, d, nil, ev)
	if out.Header.Get("X-A") != "mine" || out.Header["X-B"] != nil {
		t.Errorf("%v", out.Header)
	}
}

func TestValuesOfTheEventAreEncoded(t *testing.T) {
	for _, s := range []string{"order/1001", "a b", "é", "100%", "a\r\nX-Evil: 1", " lead", "\x00", "日本"} {
		ev := event()
		ev.Type, ev.Entity, ev.Version = s, s, s
		out, _ := mustShape(t, &config.Destination{}, nil, ev)
		for _, name := range []string{"Seawall-Type", "Seawall-Entity", "Seawall-Version"} {
			got := out.Header.Get(name)
			if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				t.Errorf("%s of %q: %q", name, s, got)
			}
			if back, err := url.PathUnescape(got); err != nil || back != s {
				t.Errorf("%s of %q: %q reads back as %q, %v", name, s, got, back, err)
			}
		}
	}
	ev := event()
	ev.Type, ev.Entity, ev.Version = "", strings.Repeat("x", maxValue+1), ""
	out, _ := mustShape(t, &config.Destination{}, nil, ev)
	for _, name := range []string{"Seawall-Type", "Seawall-Entity", "Seawall-Version"} {
		if _, ok := out.Header[name]; ok {
			t.Errorf("%s is sent: %q", name, out.Header.Get(name))
		}
	}
}

// Retries, and replays by another configuration, keep the identity that a
// consumer dedupes by.
func TestG4_AttemptsKeepTheirIdentity(t *testing.T) {
	ev := event()
	for _, d := range []*config.Destination{{}, {Body: code(t, `{id}`)}, {Method: template(t, "PUT")}} {
		out, _ := mustShape(t, d, nil, ev)
		if id := ev.ID.Delivery(1).String(); out.Header.Get("Webhook-Id") != id || out.Header.Get("Idempotency-Key") != id {
			t.Errorf("%v", out.Header)
		}
	}
	s := New(&config.Config{
		Destinations: []*config.Destination{{Name: "dest", URL: template(t, "https://x.example/")}},
		Routes:       []*config.Route{{Name: "r", To: "dest"}},
	}, "")
	for attempts := range 11 {
		dl := delivery(ev)
		dl.Attempts = attempts
		at := now.Add(time.Duration(attempts) * time.Hour)
		out, _, err := s.Shape(t.Context(), dl, ev, at, Given{})
		if err != nil {
			t.Fatal(err)
		}
		h := out.Header
		if h.Get("Webhook-Id") != dl.ID.String() || h.Get("Idempotency-Key") != dl.ID.String() ||
			h.Get("Seawall-Attempt") != strconv.Itoa(attempts+1) || h.Get("Webhook-Timestamp") != strconv.FormatInt(at.Unix(), 10) {
			t.Errorf("attempt %d: %v", attempts+1, h)
		}
	}
}

func TestTraceIsTheEvents(t *testing.T) {
	ev := event()
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	seen := map[string]bool{}
	for n := 1; n <= 3; n++ {
		for attempt := 1; attempt <= 20; attempt++ {
			p := traceparent(ev.ID, ev.ID.Delivery(n), attempt)
			if !form.MatchString(p) || p[3:35] != traceparent(ev.ID, ev.ID.Delivery(1), 1)[3:35] || seen[p] {
				t.Errorf("delivery %d, attempt %d: %s", n, attempt, p)
			}
			seen[p] = true
		}
	}
}

// What is kept of a request holds no secret, however it came in.
func TestSecretsAreNotKept(t *testing.T) {
	const canary = "c4n4ry+/ s3cr3t"
	d := &config.Destination{
		URL: template(t, "https://user:"+url.PathEscape(canary)+"@x.example/hooks/"+url.PathEscape(canary)+"/{.id}?key="+url.QueryEscape(canary)),
		Headers: headers(t, "X-Custom", "k "+canary, "X-Plain", "plain", "X-Api-Key", "{.id}", "X-Session-Token", "fixed",
			"Authorization", "Bearer "+canary),
		Sign: []provider.Secret{{Value: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}},
	}
	for _, static := range []bool{false, true} {
		if static {
			d.URL = template(t, "https://x.example/hooks/"+url.PathEscape(canary)+"?key="+url.QueryEscape(canary))
		}
		out, shown := mustShape(t, d, nil, event(), canary)
		if out.Header.Get("X-Custom") != "k "+canary || !strings.Contains(out.URL.String(), url.QueryEscape(canary)) || out.URL.User != nil {
			t.Errorf("what is sent: %s %v", out.URL, out.Header)
		}
		for _, form := range []string{canary, url.PathEscape(canary), url.QueryEscape(canary)} {
			if strings.Contains(shown.URL, form) {
				t.Errorf("kept url %s", shown.URL)
			}
		}
		if !strings.HasPrefix(shown.URL, "https://x.example/hooks/[redacted]") {
			t.Errorf("kept url %s", shown.URL)
		}
		for name, want := range map[string]string{
			"X-Custom": redacted, "X-Plain": "plain", "X-Api-Key": redacted, "X-Session-Token": redacted, "Authorization": redacted,
		} {
			if got := shown.Headers.Get(name); got != want {
				t.Errorf("kept %s: %q, want %q", name, got, want)
			}
		}
		if shown.Headers.Get("Idempotency-Key") == redacted || shown.Headers.Get("Webhook-Signature") == redacted {
			t.Errorf("too much is hidden: %v", shown.Headers)
		}
	}
}

func TestCredentialsOfTheURL(t *testing.T) {
	d := &config.Destination{URL: template(t, "https://user:pass@x.example/")}
	out, shown := mustShape(t, d, nil, event())
	if out.Header.Get("Authorization") != "Basic dXNlcjpwYXNz" || shown.Headers.Get("Authorization") != redacted || shown.URL != "https://x.example/" {
		t.Errorf("%v, kept %s %v", out.Header, shown.URL, shown.Headers)
	}
}

func BenchmarkShape(b *testing.B) {
	ev := event()
	ev.Body = []byte(`{"id":1001,"email":"a@b.example","pad":"` + strings.Repeat("x", 950) + `"}`)
	sign := []provider.Secret{{Value: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}}
	for name, d := range map[string]*config.Destination{
		"plain":   {},
		"signed":  {Sign: sign},
		"forward": {Forward: true},
		"body":    {Sign: sign, Body: code(b, `{mail: .email}`)},
		"url":     {Sign: sign, URL: template(b, "https://x.example/{.id}")},
	} {
		b.Run(name, func(b *testing.B) {
			d.Name = "dest"
			if d.URL == nil {
				d.URL = template(b, "https://x.example/hooks")
			}
			s := New(&config.Config{Destinations: []*config.Destination{d}, Routes: []*config.Route{{Name: "r", To: "dest"}}}, "v1")
			dl := delivery(ev)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Shape(b.Context(), dl, ev, now, Given{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
