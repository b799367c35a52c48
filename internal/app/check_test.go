package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// book is a system that writes down an entry for each request, by the source event
// id. It answers no first request: of those in which it says that nothing comes of
// them, there is no entry either.
type book struct {
	*httptest.Server
	mu      sync.Mutex
	asked   map[string]int
	entries map[string]int
	first   []string // ids, in the order they came
	says    func(w http.ResponseWriter, entries int)
}

func newBook(t *testing.T) *book {
	b := &book{asked: map[string]int{}, entries: map[string]int{}}
	b.says = func(w http.ResponseWriter, entries int) { fmt.Fprintf(w, `{"entries":%d}`, entries) }
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.Method == http.MethodGet {
			b.says(w, b.entries[r.URL.Query().Get("of")])
			return
		}
		id := r.Header.Get("X-Of")
		if b.asked[id]++; b.asked[id] > 1 {
			b.entries[id]++
			return
		}
		b.first = append(b.first, id)
		if len(b.first)%2 == 0 {
			b.entries[id]++
		}
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(b.Close)
	return b
}

// checking is a configuration whose one destination writes into b.
func checking(t *testing.T, b *book) *config.Config {
	t.Helper()
	base, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	template := func(s string) *expr.Template {
		tm, err := expr.CompileTemplate(s)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	code := func(s string) *expr.Code {
		c, err := expr.Compile(s, expr.ResponseVar)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := configuration(t, t.TempDir(), b.URL+"/entries")
	c.Systems = []*config.System{{Name: "book", URL: base, Breaker: config.Breaker{Off: true}}}
	to := c.Destinations[0]
	to.System, to.Unsafe, to.OnUnknown = "book", true, []config.OnUnknown{config.UnknownCheck, config.UnknownHold}
	to.Headers = []config.Header{{Name: "X-Of", Value: template("{$event.source_id}")}}
	to.Check = &config.Check{
		URL: template(b.URL + "/entries?of={$event.source_id}"), After: 10 * time.Millisecond, Tries: 2,
		Found: code(".entries > 0"), Absent: code("(.entries // 0) == 0"),
	}
	return c
}

// G6 for what no caller waits for: an event that became a delivery to a system
// where a repetition would count twice. What took effect is not sent again, what
// did not is.
func TestG6_ADeliveryIsCheckedBeforeItIsRepeated(t *testing.T) { onBoth(t, deliveryIsChecked) }

func deliveryIsChecked(t *testing.T, on func(*config.Config) *config.Config) {
	b := newBook(t)
	r := run(t, on(checking(t, b)))
	for n := range many {
		if status := r.send(n); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
	}
	r.all(many, seawall.Delivered)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, id := range b.first {
		want := 1 + (i+1)%2 // what had come to nothing was sent once more
		if b.entries[id] != 1 || b.asked[id] != want {
			t.Errorf("%s: %d entries of %d requests, want 1 of %d", id, b.entries[id], b.asked[id], want)
		}
	}
	if len(b.first) != many {
		t.Errorf("%d events came, want %d", len(b.first), many)
	}
}

// An answer that is empty, cut off, unreadable or a failure proves nothing, though
// the expression would take it for "there is none": it is held.
func TestG6_OnlyAWholeAnswerIsProof(t *testing.T) {
	for name, says := range map[string]func(w http.ResponseWriter, entries int){
		"empty":      func(http.ResponseWriter, int) {},
		"null":       func(w http.ResponseWriter, _ int) { fmt.Fprint(w, "null") },
		"unreadable": func(w http.ResponseWriter, _ int) { fmt.Fprint(w, `{"entries":`) },
		"cut off": func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"entries":0}`)
		},
		"failed":  func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusInternalServerError); fmt.Fprint(w, `{}`) },
		"missing": func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusNotFound) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook(t)
			b.says = says
			r := run(t, checking(t, b))
			for n := range 2 { // one that took effect, one that did not
				r.send(n)
			}
			r.all(2, seawall.Held)
			for id, n := range b.asked {
				if n != 1 {
					t.Errorf("%s was sent %d times", id, n)
				}
			}
		})
	}
}

// all waits until there are n deliveries of the source hub, all in a state.
func (r *running) all(n int, state seawall.State) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d deliveries are %s", n, state), func() bool {
		count := 0
		for p := (store.Page{Limit: 200}); ; {
			l, err := r.store.ListDeliveries(r.t.Context(), store.DeliveryFilter{Source: "hub"}, p)
			if err != nil {
				r.t.Fatal(err)
			}
			for i := range l.Items {
				if l.Items[i].State == state {
					count++
				}
			}
			if l.Next == "" {
				return count == n
			}
			p.Cursor = l.Next
		}
	})
}
