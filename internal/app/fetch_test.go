package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// book of orders: a system from which the current record of an order is read, and a
// destination that keeps what it gets.
type orders struct {
	*httptest.Server
	mu     sync.Mutex
	reads  int
	read   func(w http.ResponseWriter, n int) // under the lock
	got    []string                           // record header and body
	before func()                             // a read is answered; outside of the lock
}

func newOrders(t *testing.T) *orders {
	o := &orders{before: func() {}}
	o.read = func(w http.ResponseWriter, n int) { fmt.Fprintf(w, `{"order":{"id":7,"read":%d}}`, n) }
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			o.before()
			o.mu.Lock()
			defer o.mu.Unlock()
			o.reads++
			if r.URL.Path != "/orders/7" || r.Header.Get("Authorization") != "Bearer of-the-shop" {
				t.Errorf("read %s as %q", r.URL, r.Header.Get("Authorization"))
			}
			w.Header().Set("Content-Type", "application/json")
			o.read(w, o.reads)
			return
		}
		b := make([]byte, 4096)
		n, _ := r.Body.Read(b)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.got = append(o.got, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Seawall-Record")+" "+string(b[:n])))
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *orders) count() (reads, got int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reads, len(o.got)
}

func fetching(t *testing.T, o *orders, settings ...string) *config.Config {
	t.Helper()
	text := `
store: sqlite:` + t.TempDir() + `/seawall.db
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
egress: { allow: ["127.0.0.0/8"] }
sources: { app: { provider: none, id: .event, type: .type } }
systems:
  shop: { url: "` + o.URL + `", auth: { bearer: "${TOKEN}" }, breaker: off }
entities:
  order:
    app: { types: ["order.*"], key: .id, version: .version }
    fetch: { system: shop, path: "/orders/{$entity.key}", record: .order, gone: deliver }
destinations:
  hook: { url: "` + o.URL + `/hook", retry: { max: 3 } }
  mail: { url: "` + o.URL + `/mail/{.id}", body: "{of: .id, event: $event.body.version, read: .read}" }
routes:
  - { name: hook, from: app, to: hook, entity: order, fetch: true, order: none }
  - { name: mail, from: app, to: mail, entity: order, fetch: true, order: none }
`
	for i := 0; i < len(settings); i += 2 {
		text = strings.ReplaceAll(text, settings[i], settings[i+1])
	}
	out, err := config.Parse([]byte(text), "orders", config.Options{
		Getenv: func(name string) (string, bool) { return "of-the-shop", name == "TOKEN" }, Environ: func() []string { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range out.Destinations {
		d.Retry.First = 10 * time.Millisecond
	}
	return out
}

func (r *running) order(version int) {
	r.t.Helper()
	r.post(fmt.Sprintf(`{"event":"%d","type":"order.changed","id":7,"version":%d}`, version, version))
}

// to are the deliveries to a destination, newest first.
func (r *running) to(destination string) []seawall.Delivery {
	r.t.Helper()
	l, err := r.store.ListDeliveries(r.t.Context(), store.DeliveryFilter{Destination: destination}, store.Page{Limit: 50})
	if err != nil {
		r.t.Fatal(err)
	}
	return l.Items
}

// The record stands in the payload's place, and one request serves all that wait for
// it: at both destinations, for ten events.
func TestABurstIsDeliveredAsOneFetchedRecord(t *testing.T) {
	o := newOrders(t)
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	o.before = func() { asked <- struct{}{}; <-answer }
	r := run(t, fetching(t, o))
	r.order(1)
	<-asked // by the first; what comes now came after that
	for v := 2; v <= 10; v++ {
		r.order(v)
	}
	close(answer)
	eventually(t, "all are delivered", func() bool { _, got := o.count(); return got == 20 })
	if reads, _ := o.count(); reads != 2 {
		t.Errorf("%d reads of the record, want 2: one for the first event, one for those that came meanwhile", reads)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	counts := map[string]int{}
	for _, got := range o.got {
		counts[got]++
	}
	for v := 2; v <= 10; v++ {
		if want := fmt.Sprintf(`/mail/7 fetched {"event":%d,"of":7,"read":2}`, v); counts[want] != 1 {
			t.Errorf("%d times: %s", counts[want], want)
		}
	}
	if n := counts[`/hook fetched {"id":7,"read":2}`]; n < 9 {
		t.Errorf("%d hooks have the second read", n)
	}
	last := r.until(r.to("mail")[0].ID, seawall.Delivered)
	as, err := r.store.Attempts(t.Context(), last.ID)
	if err != nil || len(as) != 1 || len(as[0].Asked) != 1 || as[0].Asked[0].What != seawall.Fetches ||
		string(as[0].Asked[0].Response.Body) != `{"order":{"id":7,"read":2}}` || as[0].Request.Method != "POST" {
		t.Errorf("%+v, %v", as, err)
	}
}

// What cannot be read is tried again, and given up, like what cannot be sent; nothing
// is sent meanwhile, and each attempt says that it was the record.
func TestARecordThatCannotBeReadIsAFailedAttempt(t *testing.T) {
	for name, read := range map[string]func(w http.ResponseWriter, n int){
		"HTTP 500 Internal Server Error": func(w http.ResponseWriter, _ int) { w.WriteHeader(500) },
		"the answer is text/html, not JSON": func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>hello</html>")
		},
		"not JSON":                func(w http.ResponseWriter, _ int) { fmt.Fprint(w, `{"order":`) },
		"HTTP 200 without a body": func(http.ResponseWriter, int) {},
		"the answer is longer than 1024 KiB": func(w http.ResponseWriter, _ int) {
			fmt.Fprintf(w, `{"order":%q}`, strings.Repeat("x", 1<<20))
		},
		"connection closed":          func(http.ResponseWriter, int) { panic(http.ErrAbortHandler) },
		"record: .order of an array": func(w http.ResponseWriter, _ int) { fmt.Fprint(w, `[]`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrders(t)
			o.read = read
			c := fetching(t, o)
			c.Routes = c.Routes[:1]
			r := run(t, c)
			r.order(1)
			var d seawall.Delivery
			eventually(t, "it is dead", func() bool { d = r.to("hook")[0]; return d.State == seawall.Dead })
			as, err := r.store.Attempts(t.Context(), d.ID)
			if err != nil || len(as) != 4 {
				t.Fatalf("%d attempts, %v", len(as), err)
			}
			for _, a := range as {
				if a.Outcome != seawall.Failed || !strings.Contains(a.Error, "the record was not fetched: ") || !strings.Contains(a.Error, name) ||
					a.Request.Method != "" || len(a.Asked) != 1 || a.Asked[0].Error == "" {
					t.Errorf("%+v", a)
				}
			}
			if _, got := o.count(); got != 0 {
				t.Errorf("%d were sent", got)
			}
		})
	}
}

// A record that is gone is a case of its own.
func TestARecordThatIsGone(t *testing.T) {
	for _, gone := range []string{"deliver", "cancel", "hold"} {
		for name, read := range map[string]func(w http.ResponseWriter, n int){
			"404":  func(w http.ResponseWriter, _ int) { w.WriteHeader(404) },
			"null": func(w http.ResponseWriter, _ int) { fmt.Fprint(w, `{"order":null}`) },
		} {
			t.Run(gone+" "+name, func(t *testing.T) {
				o := newOrders(t)
				o.read = read
				c := fetching(t, o, "gone: deliver", "gone: "+gone)
				c.Routes = c.Routes[:1]
				r := run(t, c)
				r.order(1)
				want := map[string]seawall.State{"deliver": seawall.Delivered, "cancel": seawall.Canceled, "hold": seawall.Held}[gone]
				var d seawall.Delivery
				eventually(t, want.String(), func() bool { d = r.to("hook")[0]; return d.State == want })
				o.mu.Lock()
				defer o.mu.Unlock()
				switch {
				case gone == "deliver" && (len(o.got) != 1 || o.got[0] != `/hook gone {"event":"1","type":"order.changed","id":7,"version":1}`):
					t.Errorf("got %q", o.got)
				case gone != "deliver" && (len(o.got) != 0 || !strings.Contains(d.Reason, "gone")):
					t.Errorf("got %q, %s", o.got, d.Reason)
				}
			})
		}
	}
}

// Of two events of one version nobody knows which is newer: the record does.
func TestATieIsDeliveredAsTheRecord(t *testing.T) {
	o := newOrders(t)
	c := fetching(t, o)
	c.Routes = c.Routes[:1]
	c.Routes[0].Fetch, c.Routes[0].Order = false, seawall.Sequence
	r := run(t, c)
	for _, event := range []string{"a", "b"} {
		r.post(`{"event":"` + event + `","type":"order.changed","id":7,"version":1}`)
	}
	eventually(t, "both are delivered", func() bool { _, got := o.count(); return got == 2 })
	o.mu.Lock()
	defer o.mu.Unlock()
	if want := []string{`/hook  {"event":"a","type":"order.changed","id":7,"version":1}`, `/hook fetched {"id":7,"read":1}`}; !slices.Equal(o.got, want) {
		t.Errorf("%q, want %q", o.got, want)
	}
}

// While the system that has the record asks for a pause, what needs it waits, and
// spends no attempt.
func TestG7_ARecordsSystemThatIsLeftAlone(t *testing.T) {
	o := newOrders(t)
	o.read = func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, `{"order":{"id":7}}`)
	}
	r := run(t, fetching(t, o))
	r.order(1)
	eventually(t, "the first is refused", func() bool { reads, _ := o.count(); return reads == 1 })
	r.order(2)
	eventually(t, "all are delivered", func() bool { _, got := o.count(); return got == 4 })
	for _, d := range append(r.to("hook"), r.to("mail")...) {
		eventually(t, "it is delivered", func() bool {
			x, err := r.store.Delivery(t.Context(), d.ID)
			return err == nil && x.State == seawall.Delivered
		})
		if x, _ := r.store.Delivery(t.Context(), d.ID); x.Attempts > 2 {
			t.Errorf("%d attempts", x.Attempts)
		}
	}
}
