package inner

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Whatever form a client sends its key in, it is found, and nothing of it goes on.
func TestProxyTakesTheTokenInEveryForm(t *testing.T) {
	token := secrets["shop"]
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		auth  config.Auth
		query string
		head  []string
	}{
		"bearer":         {config.Bearer{Token: "s"}, "", []string{"Authorization", "Bearer " + token}},
		"other scheme":   {nil, "", []string{"Authorization", "Token " + token}},
		"bare":           {nil, "", []string{"Authorization", token}},
		"user":           {nil, "", []string{"Authorization", basic(token + ":")}},
		"password":       {config.Basic{User: "u", Password: "p"}, "", []string{"Authorization", basic("u:" + token)}},
		"x-api-key":      {nil, "", []string{"X-Api-Key", token}},
		"seawall-token":  {nil, "", []string{"Seawall-Token", token}},
		"own header":     {config.HeaderKey{Name: "pay-secret", Value: "s"}, "", []string{"Pay-Secret", token}},
		"own query":      {config.QueryKey{Name: "api key", Value: "s"}, "&api+key=" + token + "&b=%20", nil},
		"twice the same": {nil, "", []string{"X-Api-Key", token, "Authorization", "Bearer " + token}},
	} {
		d := newDesk(t, c.auth)
		d.after = declined
		head := append([]string{"Pay-Key", "k", "X-Forwarded-For", "192.0.2.1", "Pay-Version", "7", "Cookie", "c=1", "Prefer", "return=minimal", "Connection", "X-Hop", "X-Hop", "1"}, c.head...)
		d.want(d.do("POST", "/proxy/payments/v1/x%2Fy?a=b"+c.query, "", "{}", head...), 402)
		if len(d.posts) != 1 {
			t.Errorf("%s: %d calls", name, len(d.posts))
			continue
		}
		p := d.posts[0]
		sent := fmt.Sprint(p.Path, p.Headers)
		if strings.Contains(sent, token) || strings.Contains(sent, "Basic") || p.Headers.Get("Pay-Version") != "7" || p.Headers.Get("Prefer") != "return=minimal" || p.Key != "k" {
			t.Errorf("%s: sent on: %s, key %q", name, sent, p.Key)
		}
		want := "/v1/x%2Fy?a=b"
		if c.query != "" {
			want += "&b=%20"
		}
		if p.Path != want {
			t.Errorf("%s: path %q", name, p.Path)
		}
		for _, h := range []string{"Cookie", "X-Forwarded-For", "X-Hop", "Pay-Key", "Connection", "Authorization", "X-Api-Key", "Seawall-Token"} {
			if p.Headers.Get(h) != "" {
				t.Errorf("%s: %s goes on", name, h)
			}
		}
	}
	d := newDesk(t, nil)
	d.want(d.do("POST", "/proxy/payments/x", "shop", "{}", "X-Api-Key", secrets["ops"]), 400, "more than one token")
}

func TestProxyGivesTheAnswerAsItIs(t *testing.T) {
	d := newDesk(t, nil)
	d.after = declined
	first := d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}", "Idempotency-Key", "k"), 402)
	if first.body != "{\"error\": \"declined\" }" || len(first.Header["X-Two"]) != 2 || first.Header.Get("Seawall-Call") == "" || first.Header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%v %s", first.Header, first.body)
	}
	again := d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}", "Idempotency-Key", "k"), 402)
	if again.body != first.body || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v %s", again.Header, again.body)
	}
	d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{1}", "Idempotency-Key", "k"), 422)
	d.want(d.do("POST", "/proxy/payments/v1/x", "shop", "{}"), 400, "Idempotency-Key")
	d.want(d.do("POST", "/proxy/payments", "shop", "{}", "Idempotency-Key", "root"), 402)
	if p := d.posts[len(d.posts)-1]; p.Path != "/" {
		t.Errorf("path %q", p.Path)
	}
}

// What a client should do next it reads from the status: try again under its key,
// or not at all.
func TestG6_ProxySaysWhetherToTryAgain(t *testing.T) {
	held := func(c *call.Call) { c.Delivery.State = seawall.Held }
	dead := func(c *call.Call) { c.Delivery.State = seawall.Dead }
	for name, c := range map[string]struct {
		after  func(*call.Call)
		path   string
		status int
		retry  string
	}{
		"on its way":              {nil, "/v1/x", 503, "true"},
		"on its way, no key":      {nil, "/free", 504, "false"},
		"held":                    {held, "/v1/x", 504, "false"},
		"given up":                {dead, "/v1/x", 502, "false"},
		"given up, without a key": {dead, "/free", 502, "false"},
	} {
		d := newDesk(t, nil)
		d.after = c.after
		head := []string{"Idempotency-Key", "k"}
		if c.path == "/free" {
			head = nil
		}
		a := d.want(d.do("POST", "/proxy/payments"+c.path, "shop", "{}", head...), c.status, "call_")
		if got := a.Header.Get("Stripe-Should-Retry"); got != c.retry || a.Header.Get("X-Should-Retry") != c.retry {
			t.Errorf("%s: should retry %q", name, got)
		}
		if (a.Header.Get("Retry-After") != "") != (c.retry == "true") {
			t.Errorf("%s: retry after %q", name, a.Header.Get("Retry-After"))
		}
		if c.retry == "true" {
			d.after = declined
			d.want(d.do("POST", "/proxy/payments"+c.path, "shop", "{}", head...), 402)
			if len(d.posts) != 1 {
				t.Errorf("%s: the second try is a second call", name)
			}
		}
	}
}

func TestSystemByHost(t *testing.T) {
	d := newDesk(t, nil)
	d.after = declined
	for i, host := range []string{"payments.seawall.internal", "payments.seawall.internal:8082", "my-crm.x", "MY-CRM.x"} {
		d.want(d.do("POST", "/api/v1/systems/payments/calls?a=b", "ops", "{}", "Host", host, "Idempotency-Key", fmt.Sprint(i)), 402)
		if p := d.posts[i]; p.Path != "/api/v1/systems/payments/calls?a=b" || p.System != map[bool]string{true: "payments", false: "my_crm"}[i < 2] {
			t.Errorf("%s: %s %s", host, p.System, p.Path)
		}
	}
	d.want(d.do("GET", "/healthz", "", "", "Host", "nobody.internal"), 200)
	d.want(d.do("GET", "/healthz", "", "", "Host", "payments"), 200)
}

// slowly is a body that a test writes piece by piece.
func slowly(status int, length int64) (*http.Response, *io.PipeWriter) {
	r, w := io.Pipe()
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/event-stream"}, "Seawall-Test": {"theirs"}, "Connection": {"x"}}, Body: r, ContentLength: length}, w
}

func TestReadsPassThroughAsTheyCome(t *testing.T) {
	d := newDesk(t, config.QueryKey{Name: "key", Value: "s"})
	resp, w := slowly(200, -1)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return resp, send.Reply{}, nil }
	r, _ := http.NewRequest("GET", d.url+"/proxy/payments/v1/events?a=b&key="+secrets["shop"], nil)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	buf := make([]byte, 5)
	for range 3 { // each piece arrives before the next is there
		if _, err := w.Write([]byte("piece")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(got.Body, buf); err != nil || string(buf) != "piece" {
			t.Fatalf("%q, %v", buf, err)
		}
	}
	w.Close()
	if rest, err := io.ReadAll(got.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if to := d.reads[0].URL.String(); to != "https://api.example/base/v1/events?a=b" {
		t.Errorf("sent to %s", to)
	}
	if len(d.posts) != 0 {
		t.Error("a read was stored")
	}
}

func TestCutOffReadIsSeenToBe(t *testing.T) {
	d := newDesk(t, nil)
	resp, w := slowly(200, -1)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return resp, send.Reply{}, nil }
	go func() { _, _ = w.Write([]byte("half")); w.CloseWithError(io.ErrUnexpectedEOF) }()
	r, _ := http.NewRequest("GET", d.url+"/proxy/payments/x", nil)
	r.Header.Set("Authorization", "Bearer "+secrets["shop"])
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if b, err := io.ReadAll(got.Body); err == nil || string(b) != "half" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestReadThatGetsNoAnswer(t *testing.T) {
	d := newDesk(t, nil)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) {
		return nil, send.Reply{Err: io.ErrUnexpectedEOF, Sent: true}, nil
	}
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 502)
	d.read = func(*send.Request) (*http.Response, send.Reply, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{"Upgrade": {"x"}}, Body: http.NoBody}, send.Reply{Sent: true}, nil
	}
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 502, "101")
	d.read = func(*send.Request) (*http.Response, send.Reply, error) { return nil, send.Reply{}, context.Canceled }
	d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 503)
	d.until = time.Now().Add(30 * time.Second)
	a := d.want(d.do("GET", "/proxy/payments/x", "shop", ""), 503, "left alone")
	if after := a.Header.Get("Retry-After"); after != "30" && after != "29" {
		t.Errorf("retry after %q", after)
	}
	d.want(d.do("GET", "/proxy/payments/../x", "shop", ""), 400)
	d.want(d.do("GET", "/proxy/other/x", "shop", ""), 404)
	d.want(d.do("GET", "/proxy/other/x", "", ""), 401)
	if len(d.reads) != 4 {
		t.Errorf("%d reads", len(d.reads))
	}
}
