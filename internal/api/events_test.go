package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestEvents_Paging(t *testing.T) {
	b := newBench(t)
	var want []string
	for i := range 7 {
		ev := b.accept(fmt.Sprint("evt_", i), "{}", "orders")
		want = append([]string{ev.ID.String()}, want...)
		b.advance(time.Minute)
	}
	var got []string
	for e, err := range b.client("").AllEvents(b.Context(), api.EventQuery{Paging: api.Paging{Limit: 2}}) {
		b.must(err)
		got = append(got, e.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	first := get[api.Page[api.Event]](b, "/api/v1/events?limit=2")
	b.accept("evt_late", "{}", "orders") // shifts nothing
	second := get[api.Page[api.Event]](b, "/api/v1/events?limit=2&cursor="+first.Next)
	if len(second.Data) != 2 || second.Data[0].ID != want[2] {
		t.Errorf("second page: %+v", second)
	}
	if e := first.Data[0]; e.Body != nil || e.Headers != nil {
		t.Error("a list shows bodies or headers")
	}
}

func TestEvents_Filters(t *testing.T) {
	b := newBench(t)
	b.accept("evt_1", "{}", "orders")
	b.advance(2 * time.Hour)
	b.accept("evt_2", "{}")
	for query, want := range map[string]int{
		"":                  2,
		"source=stripe":     2,
		"source=shop":       0,
		"type=invoice.*":    2,
		"type=charge.*":     0,
		"entity=in_1":       2,
		"source_id=evt_1":   1,
		"routing=unmatched": 1,
		"since=1h":          1,
		"until=1h":          1,
		"since=1d":          2,
		"since=" + epoch.Format("2006-01-02T15:04:05Z07:00"): 2,
		"until=2026-05-01T12:00:00Z":                         0,
	} {
		if got := get[api.Page[api.Event]](b, "/api/v1/events?"+query); len(got.Data) != want {
			t.Errorf("%s: %d events, want %d", query, len(got.Data), want)
		}
	}
	for _, query := range []string{"since=yesterday", "since=-1h", "routing=lost", "limit=-1", "limit=5000", "cursor=x", "sauce=stripe", "after=x", "after=1&wait=soon", "cursor=fx.&after=1"} {
		b.refused(422, "GET", "/api/v1/events?"+query, "")
	}
}

func TestEvents_Story(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", `{"paid":true}`, "orders", "mail")
	id := ev.ID.Delivery(1)
	b.advance(time.Second)
	b.accept("evt_1", `{"paid":true}`, "orders") // a duplicate
	b.accept("evt_1", `{"paid":false}`)          // a conflict
	b.advance(time.Second)
	b.settle(seawall.Pending, 503, id)
	b.advance(time.Minute)
	b.settle(seawall.Dead, 500, id)
	b.advance(time.Minute)
	post[api.ReplayResult](b, "/api/v1/replays", api.ReplayRequest{Filter: &api.Filter{Destination: "orders"}})
	b.advance(time.Minute)
	b.settle(seawall.Delivered, 200, id)
	b.advance(time.Minute)
	post[api.Delivery](b, "/api/v1/deliveries/"+ev.ID.Delivery(2).String()+"/cancel", api.Reason{Reason: "wrong address"})

	s := get[api.Story](b, "/api/v1/events/"+ev.ID.String())
	if string(s.Event.Body) != `{"paid":true}` || s.Event.Proof == "" || len(s.Event.Decisions) != 2 || s.Event.Headers.Get("Content-Type") == "" {
		t.Errorf("event: %+v", s.Event)
	}
	if s.Duplicates != 1 || s.Conflicts != 1 || len(s.Arrivals) != 2 {
		t.Errorf("arrivals: %d %d %+v", s.Duplicates, s.Conflicts, s.Arrivals)
	}
	if len(s.Deliveries) != 2 || len(s.Deliveries[0].Tries) != 3 || s.Deliveries[0].Tries[0].Response.Status != 503 {
		t.Fatalf("deliveries: %+v", s.Deliveries)
	}
	var did []string
	for _, a := range s.Actions {
		did = append(did, a.By+" "+a.What)
	}
	if want := "[local replay local cancel]"; fmt.Sprint(did) != want {
		t.Errorf("actions %v, want %v", did, want)
	}
	var lines []string
	last := time.Time{}
	for _, l := range s.Timeline {
		if l.At.Before(last) {
			t.Errorf("%v is told after %v", l.At, last)
		}
		last = l.At
		lines = append(lines, l.Kind+": "+l.Text)
	}
	told := strings.Join(lines, "\n")
	for _, want := range []string{
		"arrived: POST https://hooks.example.com/in/stripe, 13 bytes from 203.0.113.9",
		"verified: stripe v1, secret 1 of 1",
		"identified: invoice.paid, id evt_1, entity in_1, version 7, happened 2s before it arrived",
		"decision: route stripe-orders matches",
		"decision: route stripe-mail does not match: when was false",
		"planned: to orders over route stripe-orders, revision 1",
		"duplicate: arrived again",
		"conflict: arrived again",
		"attempt: attempt 1, POST https://orders.internal/hooks: refused, HTTP 503 after 12ms, the server said no; gave up",
		"attempt: attempt 3, POST https://orders.internal/hooks: ok, HTTP 200",
		"action: sent again by local, in an order for this one only (destination orders), due 2026-05-01 12:",
		"ended: delivered to orders after 3m2s",
		"action: canceled by local: wrong address",
		"ended: canceled: by local: wrong address",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if t.Failed() {
		t.Log(told)
	}
	b.refused(404, "GET", "/api/v1/events/"+seawall.NewEventID(epoch, b.random).String(), "")
	if p := b.refused(422, "GET", "/api/v1/events/"+id.String(), ""); p.Hint != "its event is "+ev.ID.String() {
		t.Errorf("hint %q", p.Hint)
	}
	b.refused(422, "GET", "/api/v1/events/42", "")
}

func TestEvents_StoryIsBounded(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders", "mail")
	big := make([]byte, 12<<20)
	for i, lane := range []string{"orders", "mail"} {
		leases, err := b.store.Acquire(t.Context(), "n1", []store.Lane{{System: lane}}, time.Minute)
		b.must(err)
		_, err = b.store.Settle(t.Context(), []store.Settlement{{Lease: leases[0], Delivery: ev.ID.Delivery(i + 1), State: seawall.Dead, At: epoch,
			Attempt: &seawall.Attempt{N: 1, At: epoch, Request: seawall.Request{Method: "POST", URL: "https://x.example", Body: []byte("{}"), BodySize: 2},
				Response: &seawall.Response{Status: 500, Body: big}}}})
		b.must(err)
	}
	s := get[api.Story](b, "/api/v1/events/"+ev.ID.String())
	one, two := s.Deliveries[0].Tries[0].Response, s.Deliveries[1].Tries[0].Response
	if len(one.Body) != len(big) || len(two.Body) != 0 || !two.Truncated || two.Status != 500 {
		t.Errorf("%d, %d %v", len(one.Body), len(two.Body), two.Truncated)
	}
	whole := get[api.Traced](b, "/api/v1/deliveries/"+ev.ID.Delivery(2).String())
	if len(whole.Tries[0].Response.Body) != len(big) {
		t.Error("the delivery itself leaves its bodies out")
	}
}

func TestEvents_Body(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "<script>alert(1)</script>\x00\xff", "orders")
	r := httptest.NewRequest("GET", "http://127.0.0.1:8081/api/v1/events/"+ev.ID.String()+"/body", nil)
	r.RemoteAddr = "127.0.0.1:1"
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if w.Body.String() != string(ev.Body) {
		t.Errorf("body %q", w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type":            "application/octet-stream",
		"Content-Disposition":     `attachment; filename="` + ev.ID.String() + `.body"`,
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	got, err := b.client("").Body(t.Context(), ev.ID.String())
	b.must(err)
	if string(got) != string(ev.Body) {
		t.Errorf("client: %q", got)
	}
}

func TestEvents_Plan(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}")
	b.gateway.replan = func(id seawall.EventID, a seawall.Action) ([]seawall.Delivery, error) {
		if a.By != "local" || a.What != "plan" || a.On != id.String() {
			t.Errorf("action %+v", a)
		}
		planned := &seawall.Event{ID: id, Routing: seawall.Routed, Decisions: []seawall.Decision{{Route: "stripe-orders", Matched: true}}}
		return b.store.Replan(t.Context(), planned,
			[]seawall.Delivery{{Route: "stripe-orders", Destination: "orders", System: "orders"}}, a)
	}
	c := b.client("")
	p, err := c.Plan(t.Context(), ev.ID.String())
	b.must(err)
	if p.Routing != "routed" || len(p.Added) != 1 || len(p.Decisions) != 1 || b.gateway.woken["orders"] != 1 {
		t.Errorf("%+v, woken %v", p, b.gateway.woken)
	}
	again, err := c.Plan(t.Context(), ev.ID.String())
	b.must(err)
	if len(again.Added) != 0 {
		t.Errorf("planned twice: %+v", again)
	}
}

func TestEvents_Preview(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders")
	b.gateway.preview = func(route string, e *seawall.Event, revision int64) (*seawall.Request, error) {
		if route != "stripe-orders" {
			return nil, seawall.Errorf(seawall.ErrNotFound, "there is no route %q", route).WithHint("routes: stripe-orders")
		}
		return &seawall.Request{Method: "POST", URL: fmt.Sprint("https://orders.internal/?revision=", revision), Body: e.Body, BodySize: 2}, nil
	}
	c := b.client("")
	for config, want := range map[string]string{"": "0", "current": "0", "original": "1"} {
		r, err := c.Preview(t.Context(), ev.ID.String(), api.PreviewRequest{Route: "stripe-orders", Config: config})
		b.must(err)
		if !strings.HasSuffix(r.URL, "revision="+want) {
			t.Errorf("%q: %s", config, r.URL)
		}
	}
	_, err := c.Preview(t.Context(), ev.ID.String(), api.PreviewRequest{Route: "nope"})
	if !errors.Is(err, seawall.ErrNotFound) || seawall.Hint(err) != "routes: stripe-orders" || !strings.Contains(err.Error(), `there is no route "nope"`) {
		t.Errorf("%v, hint %q", err, seawall.Hint(err))
	}
}

func TestEvents_Follow(t *testing.T) {
	b := newBench(t)
	one, two := b.accept("evt_1", "{}"), b.accept("evt_2", "{}")
	seq := func(query string) (ids []string, next string) {
		p := get[api.Page[api.Event]](b, "/api/v1/events?"+query)
		for _, e := range p.Data {
			ids = append(ids, e.SourceID)
		}
		return ids, p.Next
	}
	ids, next := seq("after=0")
	if fmt.Sprint(ids) != "[evt_1 evt_2]" || next == "" {
		t.Fatalf("from the first: %v %q", ids, next)
	}
	if ids, _ := seq(fmt.Sprint("after=", one.Seq)); fmt.Sprint(ids) != "[evt_2]" {
		t.Errorf("after the first: %v", ids)
	}
	if ids, _ := seq(fmt.Sprint("after=", two.Seq)); len(ids) != 0 {
		t.Errorf("after the last: %v", ids)
	}
	now, _ := seq("after=now")
	if len(now) != 0 {
		t.Errorf("from now: %v", now)
	}
	b.accept("evt_3", "{}")
	if ids, _ := seq("cursor=" + next); fmt.Sprint(ids) != "[evt_3]" {
		t.Errorf("continued: %v", ids)
	}
	// A page of one at a time loses and repeats nothing.
	cursor, all := "after=0&limit=1", []string(nil)
	for range 5 {
		ids, next = seq(cursor)
		all = append(all, ids...)
		cursor = "limit=1&cursor=" + next
	}
	if fmt.Sprint(all) != "[evt_1 evt_2 evt_3]" {
		t.Errorf("one by one: %v", all)
	}
}

func TestEvents_FollowWaits(t *testing.T) {
	changed := make(chan struct{})
	asked := make(chan struct{}, 8)
	b := newBench(t, func(o *api.Options) {
		o.Changed = func() <-chan struct{} { asked <- struct{}{}; return changed }
	})
	b.accept("evt_1", "{}")
	type result struct {
		page api.Page[api.Event]
		err  error
	}
	got := make(chan result, 1)
	go func() {
		p, err := b.client("").Events(b.Context(), api.EventQuery{SourceID: "evt_3", After: "now", Wait: "20s"})
		got <- result{*p, err}
	}()
	<-asked
	b.accept("evt_2", "{}") // not the one that is waited for
	b.accept("evt_3", "{}")
	close(changed)
	r := <-got
	b.must(r.err)
	if len(r.page.Data) != 1 || r.page.Data[0].SourceID != "evt_3" {
		t.Errorf("%+v", r.page)
	}
}

func TestEvents_FollowEndsItsWait(t *testing.T) {
	waits := make(chan time.Duration, 8)
	over := make(chan time.Time, 1)
	stopping := make(chan struct{})
	b := newBench(t, func(o *api.Options) {
		o.After = func(d time.Duration) <-chan time.Time {
			waits <- d
			if d == 500*time.Millisecond {
				return nil
			}
			return over
		}
		o.Stopping = stopping
	})
	done := make(chan api.Page[api.Event])
	follow := func() { done <- get[api.Page[api.Event]](b, "/api/v1/events?after=now&wait=10m") }
	go follow()
	if d := <-waits; d != 30*time.Second {
		t.Errorf("waits %v", d)
	}
	if d := <-waits; d != 500*time.Millisecond {
		t.Errorf("polls after %v", d)
	}
	over <- epoch
	if p := <-done; len(p.Data) != 0 || p.Next == "" {
		t.Errorf("%+v", p)
	}
	go follow()
	<-waits
	<-waits
	close(stopping)
	<-done
}

func TestClient_Tail(t *testing.T) {
	tick := make(chan time.Time)
	b := newBench(t, func(o *api.Options) {
		o.After = func(d time.Duration) <-chan time.Time { return tick }
	})
	b.accept("evt_1", "{}")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for e, err := range b.client("").Tail(ctx, api.EventQuery{After: "0"}) {
		if errors.Is(err, context.Canceled) {
			break
		}
		b.must(err)
		got = append(got, e.SourceID)
		switch e.SourceID {
		case "evt_1":
			b.accept("evt_2", "{}")
			b.accept("evt_3", "{}")
		case "evt_3":
			cancel()
		}
	}
	if fmt.Sprint(got) != "[evt_1 evt_2 evt_3]" {
		t.Errorf("%v", got)
	}
}

func TestEvents_InternalErrorsStayInside(t *testing.T) {
	b := newBench(t)
	ev := b.accept("evt_1", "{}", "orders")
	b.gateway.preview = func(string, *seawall.Event, int64) (*seawall.Request, error) {
		return nil, errors.New("dial unix /very/private: no")
	}
	path := "/api/v1/events/" + ev.ID.String() + "/preview"
	code, raw := b.do("POST", path, `{"route":"stripe-orders"}`)
	var p api.Problem
	b.must(json.Unmarshal(raw, &p))
	if code != 500 || p.Detail != "internal error" || p.ID == "" || strings.Contains(string(raw), "private") {
		t.Errorf("%d %s", code, raw)
	}
	if log := b.log.String(); !strings.Contains(log, p.ID) || !strings.Contains(log, "/very/private") {
		t.Errorf("log: %s", log)
	}
	b.gateway.preview = func(string, *seawall.Event, int64) (*seawall.Request, error) { panic("oh no") }
	b.refused(500, "POST", path, `{"route":"stripe-orders"}`)
	if log := b.log.String(); !strings.Contains(log, "oh no") {
		t.Errorf("log: %s", log)
	}
}
