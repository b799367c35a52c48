package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// lineText are destinations that deliveries go to in order, each in its own way.
const lineText = `
store: STORE
listen: "127.0.0.1:0"
admin: { listen: "127.0.0.1:0" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  shop: { provider: none, id: .id, type: .type }
entities:
  order: { shop: { key: .order, version: .version } }
destinations:
  steps:   { url: "BASE/steps", retry: { first: 100ms, cap: 100ms, max: 1 } }
  settled: { url: "BASE/settled", retry: { first: 100ms, cap: 100ms } }
  newest:  { url: "BASE/newest", retry: { first: 100ms, cap: 100ms } }
  strict:  { url: "BASE/strict" }
  ship:    { url: "BASE/ship" }
  passes:  { url: "BASE/passes", retry: { first: 100ms, cap: 100ms, max: 0 } }
  first:   { url: "BASE/first", retry: { first: 100ms, cap: 100ms, max: 0 }, fallback: spare }
  spare:   { url: "BASE/spare" }
  ops:     { url: "BASE/ops" }
routes:
  - { name: steps, from: shop, types: [step], to: steps, entity: order, order: sequence }
  - { name: settled, from: shop, types: [settled], to: settled, entity: order, order: sequence, settle: 1s }
  - { name: newest, from: shop, types: [newest], to: newest, entity: order, order: latest }
  - { name: strict, from: shop, types: [strict], to: strict, entity: order, order: sequence, late: hold }
  - { name: made, from: shop, types: [made], to: ship }
  - { name: shipped, from: shop, types: [shipped], to: ship, entity: order, after: [made], wait: 2s, then: hold }
  - { name: lost, from: shop, types: [lost], to: ship, entity: order, after: [made], wait: 1s, then: dead }
  - { name: passes, from: shop, types: [passes], to: passes, entity: order, order: sequence, pass_after: 2s }
  - { name: first, from: shop, types: [first], to: first, entity: order, order: sequence }
  - { name: told, from: seawall, types: [delivery.held, delivery.dead], to: ops }
`

// ledger keeps in which order the versions of each entity came to each
// destination, and watches that one of an entity is there at a time.
type ledger struct {
	*consumer
	t      *testing.T
	mu     sync.Mutex
	inside map[string]int
	took   map[string][]string // versions, by "destination entity"; "late" after a late one
	broken map[string]int      // "destination version": how often it is refused; -1: always
	fails  func() bool         // not nil: whether a request is refused, whatever it is
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{consumer: newConsumer(t), t: t, inside: map[string]int{}, took: map[string][]string{}, broken: map[string]int{}}
	l.consumer.got = make(chan *http.Request, 100_000)
	l.consumer.status = l.take
	return l
}

func (l *ledger) take(r *http.Request) int {
	name := strings.Trim(r.URL.Path, "/")
	at, version := name+" "+r.Header.Get("Seawall-Entity"), r.Header.Get("Seawall-Version")
	l.mu.Lock()
	if l.inside[at]++; l.inside[at] > 1 && r.Header.Get("Seawall-Entity") != "" && name != "ship" {
		l.t.Errorf("two at once: %s", at)
	}
	l.mu.Unlock()
	runtime.Gosched()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside[at]--
	if l.fails != nil && l.fails() {
		return http.StatusServiceUnavailable
	}
	if n := l.broken[name+" "+version]; n != 0 {
		l.broken[name+" "+version] = max(n-1, -1)
		return http.StatusServiceUnavailable
	}
	if r.Header.Get("Seawall-Late") != "" {
		version += " late"
	}
	l.took[at] = append(l.took[at], version)
	return http.StatusOK
}

// breaks has a destination refuse a version so often; -1: always.
func (l *ledger) breaks(destination, version string, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken[destination+" "+version] = times
}

func (l *ledger) heals() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.broken)
}

func (l *ledger) has(at string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.took[at])
}

// want waits until a destination has taken these versions of an entity, in this
// order.
func (l *ledger) want(at string, versions ...string) {
	l.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !slices.Equal(l.has(at), versions) {
		if time.Now().After(deadline) || len(l.has(at)) > len(versions) {
			l.t.Fatalf("%s took %v, want %v", at, l.has(at), versions)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// counter is one node or several that deliver in order.
type counter struct {
	*ledger
	nodes []*running
	turn  int
}

func inLines(t *testing.T, addr string, nodes int) *counter {
	t.Helper()
	l := &counter{ledger: newLedger(t)}
	dir := t.TempDir()
	text := strings.NewReplacer("STORE", cmp.Or(addr, "sqlite:"+filepath.Join(dir, "seawall.db")), "BASE", l.URL).Replace(lineText)
	parse := func(text []byte) (*config.Config, error) {
		return config.Parse(text, filepath.Join(dir, "seawall.yaml"), config.Options{
			Dir: dir, Getenv: func(string) (string, bool) { return "", false }, Environ: func() []string { return nil },
		})
	}
	c, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for range nodes {
		l.nodes = append(l.nodes, run(t, c, func(o *Options) { o.Parse = parse }))
	}
	if nodes > 1 {
		eventually(t, "they share the lanes", func() bool {
			return !slices.ContainsFunc(l.nodes, func(r *running) bool { return r.lanes.Lanes() < 2 })
		})
	}
	return l
}

// event sends an event about an order, to the nodes in turn.
func (l *counter) event(kind, order string, version int) {
	l.t.Helper()
	body, _ := json.Marshal(map[string]any{"id": fmt.Sprintf("%s-%s-%d", kind, order, version), "type": kind, "order": order, "version": version})
	l.turn++
	node := l.nodes[l.turn%len(l.nodes)]
	resp, err := http.Post("http://"+node.PublicAddr()+"/in/shop", "application/json", bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		l.t.Fatalf("answered %d", resp.StatusCode)
	}
}

// delivery waits for the one delivery of an event to be in a state.
func (l *counter) delivery(kind, order string, version int, state seawall.State, reason string) *seawall.Delivery {
	l.t.Helper()
	s := l.nodes[0].store
	var d *seawall.Delivery
	deadline := time.Now().Add(20 * time.Second)
	for {
		es, err := s.ListEvents(l.t.Context(), store.EventFilter{SourceID: fmt.Sprintf("%s-%s-%d", kind, order, version), Source: "shop"}, store.Page{})
		if err != nil {
			l.t.Fatal(err)
		}
		if len(es.Items) == 1 {
			if d, err = s.Delivery(l.t.Context(), es.Items[0].ID.Delivery(1)); err != nil {
				l.t.Fatal(err)
			}
			if d.State == state && strings.HasPrefix(d.Reason, reason) {
				return d
			}
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%s of %s, version %d: %+v, want %s (%s)", kind, order, version, d, state, reason)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// dump logs how an order stands.
func (l *counter) dump(order string) {
	s := l.nodes[0].store
	ds, err := s.ListDeliveries(l.t.Context(), store.DeliveryFilter{Entity: "order/" + order}, store.Page{})
	for _, d := range ds.Items {
		l.t.Logf("%s %s %s %s, due %s, %d attempts, late %t", d.ID, d.Destination, d.State, d.Reason, d.Due, d.Attempts, d.Late)
		tries, _ := s.Attempts(l.t.Context(), d.ID)
		for _, a := range tries {
			l.t.Logf("  %d by %s at %s, %s: %s %s, %s; %s", a.N, a.Node, a.At, a.Took, a.Step, a.Outcome, a.Error, a.Next)
		}
	}
	ps, worse := s.Positions(l.t.Context(), "order/"+order)
	for _, p := range ps {
		l.t.Logf("%s: head %s, block %s, %d waiting, at %s", p.Destination, p.Head, p.Block, p.Waiting, p.At)
	}
	for _, y := range l.nodes[0].systems.Status() {
		l.t.Logf("%s: %s", y.Name, y.State.Breaker)
	}
	l.t.Log(errors.Join(err, worse), time.Now().UTC(), l.has("settled order/"+order), l.has("newest order/"+order))
}

func (l *counter) api() *client.Client {
	l.t.Helper()
	l.turn++
	c, err := client.New("http://"+l.nodes[l.turn%len(l.nodes)].AdminAddr(), "", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// told waits until a person was told of a delivery, and sees that it is once.
func (l *counter) told(d *seawall.Delivery, kind string) {
	l.t.Helper()
	told := 0
	eventually(l.t, kind+" is told", func() bool {
		told = 0
		l.bodies.Range(func(_, v any) bool {
			var got struct{ Delivery, State string }
			if json.Unmarshal(v.([]byte), &got) == nil && got.Delivery == d.ID.String() && got.State == kind {
				told++
			}
			return true
		})
		return told > 0
	})
	if told > 1 {
		l.t.Errorf("told %d times", told)
	}
}

func TestG5_OnSQLite(t *testing.T) {
	orderTests(t, func(t *testing.T) *counter { return inLines(t, "", 1) })
}

// orderTests are what an ordered route promises, from the request that an event
// comes by to the one that it is delivered by.
func orderTests(t *testing.T, start func(t *testing.T) *counter) {
	l := start(t)
	sub := func(name string, f func(t *testing.T, l *counter)) {
		t.Run(name, func(t *testing.T) {
			l.t, l.ledger.t = t, t
			l.heals()
			f(t, l)
		})
	}
	sub("one at a time in their order", func(t *testing.T, l *counter) {
		var want []string
		for v := 1; v <= 20; v++ {
			for o := range 5 {
				l.event("step", fmt.Sprint("a", o), v)
			}
			want = append(want, fmt.Sprint(v))
		}
		for o := range 5 {
			l.want(fmt.Sprint("steps order/a", o), want...)
		}
	})
	sub("within the window in any order of arrival", func(t *testing.T, l *counter) {
		arrivals := [][]int{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}}
		for i := range 3 {
			for n, p := range arrivals {
				l.event("settled", fmt.Sprint("b", n), p[i])
			}
		}
		for n := range arrivals {
			l.want(fmt.Sprint("settled order/b", n), "1", "2", "3")
		}
	})
	sub("too late for the window", func(t *testing.T, l *counter) {
		l.event("step", "c", 2)
		l.want("steps order/c", "2")
		l.event("step", "c", 1)
		l.want("steps order/c", "2", "1 late")
	})
	sub("too late and held", func(t *testing.T, l *counter) {
		l.event("strict", "d", 2)
		l.want("strict order/d", "2")
		l.event("strict", "d", 1)
		late := l.delivery("strict", "d", 1, seawall.Held, seawall.ReasonLate)
		l.told(late, "held")
		if _, err := l.api().Replay(t.Context(), late.ID.String(), api.ReplayOne{}); err != nil {
			t.Fatal(err)
		}
		l.want("strict order/d", "2", "1 late")
	})
	sub("a retry keeps its place", func(t *testing.T, l *counter) {
		l.breaks("steps", "101", 1)
		for v := 101; v <= 103; v++ {
			l.event("step", "e", v)
		}
		l.want("steps order/e", "101", "102", "103")
	})
	sub("a dead one holds its entity up until it is skipped", func(t *testing.T, l *counter) {
		l.breaks("steps", "201", -1)
		for v := 201; v <= 203; v++ {
			l.event("step", "f", v)
		}
		dead := l.delivery("step", "f", 201, seawall.Dead, "")
		l.told(dead, "dead")
		l.delivery("step", "f", 202, seawall.Held, seawall.ReasonEarlier)
		l.event("step", "f", 200) // before the one that holds it up
		l.want("steps order/f", "200")
		d, err := l.api().Skip(t.Context(), dead.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		if d.State != "canceled" || d.Reason != seawall.ReasonSkipped {
			t.Errorf("skipped: %+v", d)
		}
		l.want("steps order/f", "200", "202", "203")
	})
	sub("a dead one is replayed in its place", func(t *testing.T, l *counter) {
		l.breaks("steps", "301", -1)
		l.event("step", "g", 301)
		l.event("step", "g", 302)
		dead := l.delivery("step", "g", 301, seawall.Dead, "")
		l.breaks("steps", "301", 0)
		if _, err := l.api().Replay(t.Context(), dead.ID.String(), api.ReplayOne{}); err != nil {
			t.Fatal(err)
		}
		l.want("steps order/g", "301", "302")
	})
	sub("a dead one is passed in time", func(t *testing.T, l *counter) {
		l.breaks("passes", "1", -1)
		began := time.Now()
		l.event("passes", "h", 1)
		l.event("passes", "h", 2)
		l.delivery("passes", "h", 1, seawall.Dead, "")
		l.want("passes order/h", "2")
		if after := time.Since(began); after < 2*time.Second {
			t.Errorf("passed after %s", after)
		}
	})
	sub("only the newest", func(t *testing.T, l *counter) {
		l.breaks("newest", "2", -1)
		l.event("newest", "i", 2)
		l.event("newest", "i", 3)
		l.event("newest", "i", 1)
		l.want("newest order/i", "3")
		old := l.delivery("newest", "i", 1, seawall.Superseded, "by version 3")
		newer := l.delivery("newest", "i", 3, seawall.Delivered, "")
		_, err := l.api().Replay(t.Context(), old.ID.String(), api.ReplayOne{})
		if !errors.Is(err, seawall.ErrConflict) || !strings.Contains(err.Error(), "version 3") || !strings.Contains(seawall.Hint(err), newer.ID.String()) {
			t.Errorf("replayed: %v (%s)", err, seawall.Hint(err))
		}
		many, err := l.api().Replays(t.Context(), api.ReplayRequest{IDs: []string{old.ID.String()}}, nil)
		if err != nil || many.Outdated != 1 || many.Replayed != 0 {
			t.Errorf("%+v (%v)", many, err)
		}
		if _, err := l.api().Replay(t.Context(), old.ID.String(), api.ReplayOne{Force: true}); err != nil {
			t.Fatal(err)
		}
		l.want("newest order/i", "3", "1 late")
	})
	sub("after what must come first", func(t *testing.T, l *counter) {
		l.event("shipped", "j", 2)
		d := l.delivery("shipped", "j", 2, seawall.Held, seawall.ReasonPrerequisite)
		shown, err := l.api().Delivery(t.Context(), d.ID.String())
		if err != nil || !slices.Equal(shown.After, []string{"made"}) || shown.Due.IsZero() {
			t.Errorf("it is shown as %+v (%v)", shown, err)
		}
		l.event("made", "j", 1)
		l.want("ship order/j", "1", "2")
		l.event("shipped", "j", 3) // it was: nothing to wait for
		l.want("ship order/j", "1", "2", "3")
	})
	sub("after what does not come", func(t *testing.T, l *counter) {
		l.event("lost", "k", 1)
		l.event("shipped", "k", 2)
		l.told(l.delivery("lost", "k", 1, seawall.Dead, "waited in vain"), "dead")
		held := l.delivery("shipped", "k", 2, seawall.Held, seawall.ReasonPrerequisite)
		l.told(held, "held")
		if len(l.has("ship order/k")) > 0 {
			t.Errorf("shipped: %v", l.has("ship order/k"))
		}
		if _, err := l.api().Replay(t.Context(), held.ID.String(), api.ReplayOne{}); err != nil {
			t.Fatal(err)
		}
		l.want("ship order/k", "2")
	})
	sub("the fallback ends it", func(t *testing.T, l *counter) {
		l.breaks("first", "1", -1)
		for v := 1; v <= 3; v++ {
			l.event("first", "l", v)
		}
		l.want("spare order/l", "1")
		l.want("first order/l", "2", "3")
	})
	sub("a cancel lets the next one go", func(t *testing.T, l *counter) {
		l.breaks("strict", "11", -1) // again in 5 s
		l.event("strict", "m", 11)
		eventually(t, "it was tried", func() bool { return l.delivery("strict", "m", 11, seawall.Pending, "").Attempts > 0 })
		l.event("strict", "m", 12)
		d := l.delivery("strict", "m", 11, seawall.Pending, "")
		l.delivery("strict", "m", 12, seawall.Held, seawall.ReasonEarlier)
		began := time.Now()
		if _, err := l.api().Cancel(t.Context(), d.ID.String(), ""); err != nil {
			t.Fatal(err)
		}
		l.want("strict order/m", "12")
		if after := time.Since(began); after > 3*time.Second {
			t.Errorf("it went after %s", after)
		}
	})
	sub("random arrivals", randomArrivals)
}

// In whatever order versions come, twice and while the destination fails and a node
// leaves: where only the newest matters nothing older comes after something newer,
// and the newest comes; in a sequence what came in time for its window comes in its
// order, and what did not says so.
func randomArrivals(t *testing.T, l *counter) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 5))
	const orders, versions = 60, 6
	type arrival struct {
		order   string
		version int
	}
	var arrivals []arrival
	for o := range orders {
		for v := 1; v <= versions; v++ {
			for range 1 + random.IntN(2) {
				arrivals = append(arrivals, arrival{fmt.Sprint("r", o), v})
			}
		}
	}
	random.Shuffle(len(arrivals), func(i, j int) { arrivals[i], arrivals[j] = arrivals[j], arrivals[i] })
	l.fails = func() bool { return random.IntN(8) == 0 } // under the lock
	for i, a := range arrivals {
		l.event("newest", a.order, a.version)
		l.event("settled", a.order, a.version)
		if i == len(arrivals)/2 && len(l.nodes) > 1 {
			l.nodes[0].stop()
			l.nodes = l.nodes[1:]
		}
	}
	for o := range orders {
		order := fmt.Sprint("r", o)
		end := time.Now().Add(20 * time.Second)
		eventually(t, order+" is delivered", func() bool {
			if time.Now().After(end.Add(-time.Second)) {
				end = end.Add(time.Hour)
				l.dump(order)
			}
			return slices.Contains(l.has("newest order/"+order), strconv.Itoa(versions)) && len(l.has("settled order/"+order)) == versions
		})
		for _, way := range []string{"newest", "settled"} {
			got, highest := l.has(way+" order/"+order), 0
			for _, g := range got {
				text, late := strings.CutSuffix(g, " late")
				v, _ := strconv.Atoi(text)
				if v < highest != late || late && way == "newest" {
					t.Errorf("%s of %s: %v", way, order, got)
				}
				highest = max(highest, v)
			}
		}
	}
}
