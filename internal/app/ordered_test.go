package app

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// ordered runs a gateway whose source app brings orders to shop, by a route that
// says the rest.
func ordered(t *testing.T, shop *consumer, route string) *running {
	t.Helper()
	parts := strings.NewReplacer("&claim", `{ types: ["order.*"], key: .id, version: [.at, .n], compare: [time, integer] }`,
		"&url", shop.URL, "&order", route, "&store", filepath.Join(t.TempDir(), "seawall.db"))
	c, err := config.Parse([]byte(parts.Replace(`
store: sqlite:&store
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
egress: { allow: [127.0.0.0/8] }
sources: { app: { provider: none, id: .event, type: .type }, many: { provider: none, each: .events, id: .event, type: .type } }
entities: { order: { app: &claim, many: &claim } }
destinations: { shop: { url: &url/hooks, retry: { first: 100ms } } }
routes: [{ from: app, to: shop, entity: order, &order }, { from: many, to: shop, entity: order, &order }]
`)), "seawall.yaml", config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, c)
}

// tell sends an event of an order, with the version n.
func (r *running) tell(kind, id string, n int) {
	r.t.Helper()
	// The same moment in two zones: the second part of the version counts.
	at := []string{"2026-11-25T12:00:00Z", "2026-11-25T13:00:00+01:00"}[n%2]
	body := fmt.Sprintf(`{"event":"%s/%s/%d","type":"%s","id":%s,"at":"%s","n":%d}`, kind, id, n, kind, id, at, n)
	resp, err := http.Post("http://"+r.PublicAddr()+"/in/app", "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s, %v", resp.Status, err)
	}
}

// came is what came next, by entity and version.
func (c *consumer) came(t *testing.T, n int) (out []string) {
	t.Helper()
	for range n {
		h := c.next(t).Header
		version := h.Get("Seawall-Version")
		if _, last, ok := strings.Cut(strings.TrimSuffix(version, `"]`), `","`); ok {
			version = last
		}
		out = append(out, strings.TrimSpace(h.Get("Seawall-Type")+" "+h.Get("Seawall-Entity")+" "+version))
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestG5_ASequenceFromTheFileOn(t *testing.T) {
	shop := newConsumer(t)
	r := ordered(t, shop, "order: sequence, settle: 2s")
	for _, n := range []int{10, 2, 9, 1} {
		r.tell("order.step", "7", n)
	}
	r.tell("order.step", "8", 3)
	r.tell("user.new", "1", 1) // of no entity: at once
	r.tell("order.step", "null", 4)
	expect(t, shop.came(t, 2), "user.new", "order.step")
	all := shop.came(t, 5)
	if i := slices.Index(all, "order.step order/8 3"); i < 0 {
		t.Errorf("%q", all)
	} else {
		all = slices.Delete(all, i, i+1)
	}
	expect(t, all, "order.step order/7 1", "order.step order/7 2", "order.step order/7 9", "order.step order/7 10")
}

func TestG5_TheLatestFromTheFileOn(t *testing.T) {
	shop := newConsumer(t)
	sent := make(chan struct{})
	shop.status = func(*http.Request) int { <-sent; return http.StatusOK }
	r := ordered(t, shop, "order: latest")
	for _, n := range []int{5, 3, 7, 6, 11, 10} {
		r.tell("order.step", "7", n)
	}
	close(sent)
	expect(t, shop.came(t, 2), "order.step order/7 5", "order.step order/7 11")
	r.tell("order.step", "7", 9) // late
	r.tell("order.step", "8", 1)
	expect(t, shop.came(t, 1), "order.step order/8 1")
}

func TestG5_PrerequisitesFromTheFileOn(t *testing.T) {
	shop := newConsumer(t)
	r := ordered(t, shop, "after: [order.created], wait: 1h")
	r.tell("order.paid", "7", 2)
	r.tell("order.created", "8", 1)
	expect(t, shop.came(t, 1), "order.created order/8 1")
	r.tell("order.paid", "8", 2)
	expect(t, shop.came(t, 1), "order.paid order/8 2")
	r.tell("order.created", "7", 1)
	expect(t, shop.came(t, 2), "order.created order/7 1", "order.paid order/7 2")
}

// The events of one request are each about an order of their own, and in order.
func TestG5_ABatchIsSeveralEvents(t *testing.T) {
	shop := newConsumer(t)
	r := ordered(t, shop, "order: sequence, settle: 2s")
	var events []string
	for _, n := range []int{3, 1, 2} {
		for _, id := range []int{7, 8} {
			events = append(events, fmt.Sprintf(`{"event":"%d/%d","type":"order.step","id":%d,"at":"2026-11-25T12:00:00Z","n":%d}`, id, n, id, n))
		}
	}
	resp, err := http.Post("http://"+r.PublicAddr()+"/in/many", "application/json", strings.NewReader(`{"events":[`+strings.Join(events, ",")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	all := shop.came(t, 6)
	for _, order := range []string{"7", "8"} {
		of := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.Contains(s, "order/"+order) })
		expect(t, of, "order.step order/"+order+" 1", "order.step order/"+order+" 2", "order.step order/"+order+" 3")
	}
}

// What is wrong with a version is told, and keeps nobody waiting.
func TestG9_AVersionOfAnotherKindIsTold(t *testing.T) {
	shop := newConsumer(t)
	r := ordered(t, shop, "order: sequence")
	resp, err := http.Post("http://"+r.PublicAddr()+"/in/app", "application/json",
		strings.NewReader(`{"event":"e","type":"order.odd","id":7,"at":"noon","n":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	got := shop.next(t).Header
	id, err := seawall.ParseEventID(got.Get("Seawall-Event"))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := r.store.Event(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if ev.Routing != seawall.PlanError || ev.Entity != "order/7" || got.Get("Seawall-Entity") != "order/7" ||
		ev.Decisions[0].Why != `entity order: version: part 1: "noon" is not a time (RFC 3339)` {
		t.Errorf("%s, %s, %+v", ev.Routing, ev.Entity, ev.Decisions)
	}
}
