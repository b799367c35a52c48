package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/verify"
)

func request(body string, headers ...string) *Request {
	r := &Request{Method: http.MethodPost, URL: "https://h/in/x", Header: http.Header{}, Body: []byte(body), Now: testNow}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

const form = "application/x-www-form-urlencoded"

func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		name, provider string
		r              *Request
		want           Item
		problem        string
	}{
		{"thin event", "stripe", request(`{"id":"evt_test_1","object":"v2.core.event","type":"v1.billing.meter.error","created":"2026-11-23T02:13:20.005Z","related_object":{"id":"mtr_1"}}`),
			Item{ID: "evt_test_1", Type: "v1.billing.meter.error", Entity: "mtr_1", OccurredRaw: "2026-11-23T02:13:20.005Z"}, ""},
		{"no id", "stripe", request(`{"type":"x"}`), Item{Derived: true, Type: "x"}, "payload: it has no id"},
		{"not JSON", "stripe", request(`<xml/>`), Item{Derived: true}, "payload: it is not JSON"},
		{"empty", "stripe", request(``), Item{Derived: true}, "payload: it ends in the middle"},
		{"array", "stripe", request(`[]`), Item{Derived: true}, "payload: it is not a JSON object"},
		{"broken after the id", "stripe", request(`{"id":"evt_1","type":`), Item{ID: "evt_1"}, "payload: it ends in the middle"},
		{"deep after all fields", "stripe", request(`{"id":"evt_1","type":"t","created":1,"data":{"object":{"id":"o","x":` + strings.Repeat("[", 1<<20)),
			Item{ID: "evt_1", Type: "t", Entity: "o", OccurredRaw: "1"}, ""},

		{"pull request", "github", request(`{"action":"opened","number":1,"pull_request":{"id":9007199254740993,"user":{"id":3},"updated_at":"2026-11-23T02:13:20Z"},"repository":{"id":7}}`,
			"X-GitHub-Event", "pull_request", "X-GitHub-Delivery", "d"),
			Item{ID: "d", Type: "pull_request", Action: "opened", Entity: "9007199254740993", Version: "2026-11-23T02:13:20Z", OccurredRaw: "2026-11-23T02:13:20Z"}, ""},
		{"push", "github", request(`{"ref":"refs/heads/main","repository":{"id":7},"organization":{"id":8}}`, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d"),
			Item{ID: "d", Type: "push", Entity: "7"}, ""},
		{"object missing", "github", request(`{"action":"x","repository":{"id":7}}`, "X-GitHub-Event", "issues", "X-GitHub-Delivery", "d"),
			Item{ID: "d", Type: "issues", Action: "x", Entity: "7"}, ""},
		{"form", "github", request("payload="+url.QueryEscape(`{"action":"x","repository":{"id":7}}`), "X-GitHub-Event", "star", "X-GitHub-Delivery", "d", "Content-Type", form),
			Item{ID: "d", Type: "star", Action: "x", Entity: "7"}, ""},
		{"no delivery", "github", request(`{}`, "X-GitHub-Event", "ping"), Item{Derived: true, Type: "ping"}, "the header X-GitHub-Delivery is missing"},

		{"no event id", "shopify", request(`{"id":1}`, "X-Shopify-Webhook-Id", "w", "X-Shopify-Topic", "a/b"), Item{ID: "w", Delivery: "w", Type: "a/b", Entity: "1"}, ""},

		{"type under another name", "svix", request(`{"eventType":"a","data":{"id":3},"timestamp":1795400000123}`, "Svix-Id", "m"),
			Item{ID: "m", Type: "a", Entity: "3", OccurredRaw: "1795400000123"}, ""},
		{"no JSON", "standardwebhooks", request(`hello`, "Webhook-Id", "m"), Item{ID: "m"}, "payload: it is not JSON"},

		{"interaction", "slack", request("payload="+url.QueryEscape(`{"type":"block_actions","trigger_id":"t.1","user":{"id":"U1"},"channel":{"id":"C1"}}`), "Content-Type", form),
			Item{ID: "t.1", Type: "block_actions", Entity: "C1"}, ""},
		{"channel as an object", "slack", request(`{"event_id":"E","event_time":1,"type":"event_callback","event":{"type":"channel_created","channel":{"id":"C1"}}}`),
			Item{ID: "E", Type: "channel_created", Entity: "C1", OccurredRaw: "1"}, ""},
		{"user", "slack", request(`{"event_id":"E","event_time":1,"type":"event_callback","event":{"type":"team_join","user":{"id":"U1"}}}`),
			Item{ID: "E", Type: "team_join", Entity: "U1", OccurredRaw: "1"}, ""},
		{"app_rate_limited", "slack", request(`{"type":"app_rate_limited"}`), Item{Derived: true, Type: "app_rate_limited"}, "payload: it has no event_id"},

		{"message without token", "twilio", request("MessageSid=SM1&MessageStatus=sent", "Content-Type", form), Item{ID: "SM1:sent", Type: "sent", Entity: "SM1"}, ""},
		{"call", "twilio", request("CallSid=CA1&CallStatus=ringing&SequenceNumber=2&Timestamp="+url.QueryEscape("Mon, 23 Nov 2026 02:13:20 +0000"), "Content-Type", form),
			Item{ID: "CA1:ringing:2", Type: "ringing", Entity: "CA1", Version: "2", OccurredRaw: "Mon, 23 Nov 2026 02:13:20 +0000"}, ""},
		{"nothing known", "twilio", request("a=b", "Content-Type", form), Item{Derived: true}, "form: it names no message or call"},

		{"interaction", "discord", request(`{"id":"77","type":2,"guild_id":"9"}`), Item{ID: "77", Type: "2", Entity: "9"}, ""},

		{"nothing set", "hmac", request(`{"id":1}`), Item{Keyless: true}, ""},
		{"webhook-id", "token", request(`{"id":1}`, "Webhook-Id", "m", "Idempotency-Key", "k"), Item{ID: "m"}, ""},
		{"idempotency key", "basic", request(`{"id":1}`, "Idempotency-Key", "k"), Item{ID: "k"}, ""},
	} {
		items, problem := open(t, settingsFor(c.provider)).Identify(c.r)
		if len(items) != 1 {
			t.Errorf("%s, %s: %d items", c.provider, c.name, len(items))
			continue
		}
		got := items[0]
		if got.Derived && c.want.Derived {
			c.want.ID = contentID(c.r.Body)
		}
		if (got.OccurredRaw == "") != got.OccurredAt.IsZero() {
			t.Errorf("%s, %s: occurred at %v, raw %q", c.provider, c.name, got.OccurredAt, got.OccurredRaw)
		}
		got.OccurredAt = time.Time{}
		if got.ID != c.want.ID || got.Body != nil || problem != c.problem || !same(got, c.want) {
			t.Errorf("%s, %s:\n got %+v, %q\nwant %+v, %q", c.provider, c.name, got, problem, c.want, c.problem)
		}
	}
}

func same(a, b Item) bool {
	return a.Derived == b.Derived && a.Keyless == b.Keyless && a.Type == b.Type && a.Action == b.Action && a.Delivery == b.Delivery &&
		a.Entity == b.Entity && a.Version == b.Version && a.OccurredRaw == b.OccurredRaw
}

func TestIdsAreFitForKeys(t *testing.T) {
	src := open(t, settingsFor("stripe"))
	ids := map[string]string{}
	long := strings.Repeat("é", 300)
	for _, body := range []string{`{"id":"a\u0000b"}`, `{"id":"a\u0000c"}`, "{\"id\":\"a\xff\"}", "{\"id\":\"a\xfe\"}", `{"id":"` + long + `1"}`, `{"id":"` + long + `2"}`} {
		items, _ := src.Identify(request(body))
		id := items[0].ID
		if other, ok := ids[id]; ok || len(id) > 512 || !utf8.ValidString(id) || strings.Contains(id, "\x00") || items[0].Derived {
			t.Errorf("%q and %q: %q", body, other, id)
		}
		ids[id] = body
	}
	items, _ := src.Identify(request(`{"id":"a","type":"` + long + `","data":{"object":{"id":"x\u0000"}}}`))
	if it := items[0]; len(it.Type) != 512 || !utf8.ValidString(it.Type) || it.Entity != "x\ufffd" {
		t.Errorf("%d %q", len(it.Type), it.Entity)
	}
}

func TestBatches(t *testing.T) {
	src := open(t, settingsFor("twilio"))
	items, problem := src.Identify(request(`[{"id":"1","type":"a"}, {"type":"b"}]`))
	if len(items) != 2 || string(items[0].Body) != `{"id":"1","type":"a"}` || items[0].Derived || !items[1].Derived || problem != "payload: an event has no id" {
		t.Errorf("%+v, %s", items, problem)
	}
	if items, problem = src.Identify(request(`[]`)); len(items) != 0 || problem != "" {
		t.Errorf("empty batch: %+v, %s", items, problem)
	}
	if items, problem = src.Identify(request(`[{"id":"1"},`)); len(items) != 1 || !items[0].Derived || problem == "" || items[0].Body != nil {
		t.Errorf("broken batch: %+v, %s", items, problem)
	}
}

func TestGenericExpressions(t *testing.T) {
	code := func(s string) *expr.Code {
		c, err := expr.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := settingsFor("token")
	s.ID, s.Type, s.Time = code(`.order.id`), code(`"order." + .what`), code(`.at`)
	src := open(t, s)
	items, problem := src.Identify(request(`{"order":{"id":820982911946154133},"what":"paid","at":1795400000.25}`))
	want := Item{ID: "820982911946154133", Type: "order.paid", OccurredRaw: "1795400000.25"}
	if problem != "" || items[0].ID != want.ID || !same(items[0], want) || !items[0].OccurredAt.Equal(testNow.Add(250*time.Millisecond)) {
		t.Errorf("%+v, %s", items, problem)
	}
	items, problem = src.Identify(request(`{"what":"paid","at":"soon"}`, "Webhook-Id", "m"))
	if items[0].ID != "m" || items[0].Keyless || problem != "id: the expression gives null; time: the value is not a time" {
		t.Errorf("%+v, %s", items, problem)
	}
	items, problem = src.Identify(request(`{"what":"paid"}`))
	if !items[0].Keyless || items[0].ID != "" || problem != "id: the expression gives null" {
		t.Errorf("%+v, %s", items, problem)
	}
	items, problem = src.Identify(request(`{"order":`, "Content-Type", "application/json"))
	if len(items) != 1 || !items[0].Keyless || items[0].ID != "" || problem == "" {
		t.Errorf("%+v, %s", items, problem)
	}
	s.ID = code(`tojson | sha256`) // equal bodies are one event, as the documentation says
	one, _ := open(t, s).Identify(request(`{"a":1}`))
	same, _ := open(t, s).Identify(request(`{"a": 1}`))
	other, _ := open(t, s).Identify(request(`{"a":2}`))
	if len(one[0].ID) != 64 || one[0].ID != same[0].ID || one[0].ID == other[0].ID {
		t.Errorf("%q %q %q", one[0].ID, same[0].ID, other[0].ID)
	}
	s.ID = code(`$event.headers.authorization`)
	items, _ = open(t, s).Identify(request(`{}`, "Authorization", "Bearer "+s.Tokens[0].Value))
	if items[0].ID != "" {
		t.Error("an expression reads the credential")
	}
}

func TestHandshakes(t *testing.T) {
	slack, discord := settingsFor("slack"), settingsFor("discord")
	challenge := request(`{"type":"url_verification","challenge":"c\u00e9"}`)
	sign := func(s Settings, r *Request) *Request {
		if err := SignRequest(signer(s), r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		name   string
		s      Settings
		r      *Request
		ok     bool
		reason verify.Reason
		status int
		body   string
	}{
		{"slack challenge", slack, sign(slack, challenge), true, "", 200, "cé"},
		{"slack challenge, unsigned", slack, request(string(challenge.Body)), false, verify.HeaderMissing, 0, ""},
		{"slack event that speaks of it", slack, sign(slack, request(`{"type":"event_callback","event":{"text":"url_verification"}}`)), false, "", 0, ""},
		{"discord interaction", discord, sign(discord, request(`{"type":1,"id":"1","token":"t"}`)), true, "", 200, `{"type":1}`},
		{"discord events", discord, sign(discord, request(`{"version":1,"type":0}`)), true, "", 204, ""},
		{"discord, forged", discord, request(`{"type":1}`, discordHeader, strings.Repeat("00", 64), discordTime, "1"), false, verify.SignatureMismatch, 0, ""},
		{"discord command", discord, sign(discord, request(`{"type":2,"id":"1"}`)), false, "", 0, ""},
		{"discord event", discord, sign(discord, request(`{"type":1,"event":{"type":"A"}}`)), false, "", 0, ""},
		{"stripe has none", settingsFor("stripe"), request(`{"type":1}`), false, "", 0, ""},
	} {
		a, ok, err := open(t, c.s).Handshake(t.Context(), c.r)
		if ok != c.ok || reason(err) != c.reason {
			t.Errorf("%s: %v, %v", c.name, ok, err)
		}
		if ok && (a.Status != c.status || string(a.Body) != c.body) {
			t.Errorf("%s: answered %d %q", c.name, a.Status, a.Body)
		}
	}
}

func TestAccepted(t *testing.T) {
	src := open(t, settingsFor("discord"))
	for body, want := range map[string]string{
		`{"type":1,"event":{"type":"A"}}`: "204 ", `{"type":2}`: `200 {"type":5}`, `{"type":3}`: `200 {"type":6}`,
		`{"type":4}`: `200 {"type":8,"data":{"choices":[]}}`,
	} {
		a := src.Accepted(request(body))
		if got := fmt.Sprintf("%d %s", a.Status, a.Body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if a := open(t, settingsFor("stripe")).Accepted(request(`{}`)); a != nil {
		t.Errorf("%+v", a)
	}
}

func TestMoment(t *testing.T) {
	for in, want := range map[string]string{
		"1795400000": "2026-11-23T02:13:20Z", "1795400000.000200": "2026-11-23T02:13:20.0002Z", "1795400000123": "2026-11-23T02:13:20.123Z",
		"1795400000123456": "2026-11-23T02:13:20.123456Z", "1795400000123456789": "2026-11-23T02:13:20.123456789Z",
		"2026-11-23T02:13:21.123456789Z": "2026-11-23T02:13:21.123456789Z", "2026-11-23T03:13:20+01:00": "2026-11-23T02:13:20Z",
		"2026-11-23T02:13:20.5": "2026-11-23T02:13:20.5Z", "2026-11-23 02:13:20": "2026-11-23T02:13:20Z", "0": "1970-01-01T00:00:00Z",
	} {
		if got := moment(in).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for _, in := range []string{"", "soon", "-1", "1.", ".5", "99999999999999999999", "1e9", "2026-13-01T00:00:00Z"} {
		if got := moment(in); !got.IsZero() && in != "1." {
			t.Errorf("%q: %v", in, got)
		}
	}
}
