package order

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

func TestMain(m *testing.M) { rows.Main(m, pgcluster.Main) }

const (
	versions = 6
	settle   = 5 * time.Second
	senders  = 12
)

// setup sends everything to the consumer twice: of one entity only the newest, and
// every event in its order.
const setup = `entities:
  order: { app: { key: .order, version: .v } }`

// Row 11. Every order in which six versions of an entity may arrive, with
// duplicates, over one node or two, while the destination fails and nodes are killed:
// where only the newest matters the destination ends with it, and never saw an older
// one after a newer one; where every one matters it saw each in its order, as far as
// all of them came within the settle window.
func TestG5_EveryArrivalEndsInOneState(t *testing.T) { rows.Each(t, everyArrival) }

func everyArrival(t *testing.T, nodes int) {
	c, url := newConsumer(t, uint64(nodes))
	more := "retry: { first: 100ms, cap: 1s, max: 60 }, concurrency: 16"
	s := rows.Open(t, nodes, witness.Setup{
		Sources:      "  app: { provider: none, id: .id, type: .type }",
		Destinations: fmt.Sprintf("  newest: { url: %q, %s }\n  every: { url: %q, %s }", url+"/newest", more, url+"/every", more),
		Routes: fmt.Sprintf("  - { from: app, to: newest, entity: order, order: latest }\n"+
			"  - { from: app, to: every, entity: order, order: sequence, settle: %s }", settle),
		Extra: setup,
	})
	dice := rows.Random(uint64(10 + nodes))
	entities := arrivals(rows.Times(1, 4), dice)
	kills := rows.Times(8, 80)

	work, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var killed int
	wg.Go(func() { killed = kill(s, work, nodes, kills, rows.Random(uint64(20+nodes))) })
	feed := make(chan *entity)
	var sending sync.WaitGroup
	for i := range senders {
		own := rand.New(rand.NewPCG(*rows.Seed, uint64(100*nodes+i)))
		sending.Go(func() {
			for e := range feed {
				if t.Failed() {
					continue
				}
				e.send(s, own)
			}
		})
	}
	for _, e := range entities {
		feed <- e
	}
	close(feed)
	sending.Wait()
	wg.Wait()
	judge(s, c, entities)
	t.Logf("%d entities, %d kills, %d troubles of the destination", len(entities), killed, c.troubles)
}

// entity is one whose versions arrive in an order.
type entity struct {
	name    string
	arrival []int
	within  bool // all came within the settle window of the first
	sent    int  // with duplicates
}

// arrivals are all orders in which the versions may come, so many times, shuffled.
func arrivals(times int, dice *rand.Rand) (out []*entity) {
	p := make([]int, versions)
	for i := range p {
		p[i] = i + 1
	}
	var rec func(n, i int)
	rec = func(n, i int) {
		if i == versions {
			name := fmt.Sprint(n)
			for _, v := range p {
				name += "-" + strconv.Itoa(v)
			}
			out = append(out, &entity{name: name, arrival: append([]int{}, p...)})
			return
		}
		for j := i; j < versions; j++ {
			p[i], p[j] = p[j], p[i]
			rec(n, i+1)
			p[i], p[j] = p[j], p[i]
		}
	}
	for n := range times {
		rec(n, 0)
	}
	dice.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// send posts the versions in the order of their arrival, to whichever node, each
// until it is acknowledged; some come again.
func (e *entity) send(s *rows.Scene, dice *rand.Rand) {
	began := time.Now()
	for i, v := range e.arrival {
		e.post(s, dice, v)
		if dice.IntN(3) == 0 {
			e.post(s, dice, e.arrival[dice.IntN(i+1)])
		}
	}
	// What a version waits for is counted from its own arrival.
	e.within = time.Since(began) < settle-time.Second
}

func (e *entity) post(s *rows.Scene, dice *rand.Rand, v int) {
	body := fmt.Sprintf(`{"id":"%s/%d","type":"order.changed","order":%q,"v":%d}`, e.name, v, e.name, v)
	for deadline := time.Now().Add(rows.Patience); ; {
		g := s.Fleet.Nodes[dice.IntN(len(s.Fleet.Nodes))]
		status, _, err := s.Do(http.MethodPost, "http://"+g.Addr+"/in/app", http.Header{"Content-Type": {"application/json"}}, body)
		if err == nil && status == http.StatusOK {
			e.sent++
			return
		}
		if time.Now().After(deadline) || s.Context().Err() != nil {
			s.Errorf("%s version %d was answered %d: %v", e.name, v, status, err)
			return
		}
		witness.Pause(s.Context(), 20*time.Millisecond)
	}
}

// kill kills a node now and then, and starts it again.
func kill(s *rows.Scene, work context.Context, nodes, kills int, dice *rand.Rand) (n int) {
	for ; n < kills && work.Err() == nil; n++ {
		witness.Pause(work, time.Duration(300+dice.IntN(1200))*time.Millisecond)
		i := dice.IntN(nodes)
		if err := s.Fleet.Kill(i); err != nil {
			s.Error(err)
			return n
		}
		s.Start(i)
	}
	return n
}

// judge holds what the consumer took beside what was sent.
func judge(s *rows.Scene, c *consumer, entities []*entity) {
	s.Helper()
	o := &operator{Scene: s, replayed: map[string]bool{}}
	s.Until(3*rows.Patience, "all is delivered", func() bool {
		o.tend()
		for _, e := range entities {
			if !has(c.took("/newest", e.name), versions) {
				return false
			}
			for v := 1; v <= versions; v++ {
				if !has(c.took("/every", e.name), v) {
					return false
				}
			}
		}
		return true
	})
	var sent, outside, inverted, late, superseded int
	for _, e := range entities {
		sent += e.sent
		newest := c.took("/newest", e.name)
		if n := inversions(newest); n > 0 || newest[len(newest)-1].version != versions {
			inverted += n
			s.Errorf("arrival %v, only the newest matters: the destination took %v", e.arrival, newest)
		}
		if len(newest) < versions {
			superseded++
		}
		every := c.took("/every", e.name)
		if !e.within {
			outside++
		}
		n := inversions(every)
		if e.within && n > 0 {
			inverted += n
			s.Errorf("arrival %v, every one matters: the destination took %v", e.arrival, every)
		}
		for i, f := range every {
			if f.late {
				late++
			}
			if i > 0 && f.version < every[i-1].version && !f.late {
				s.Errorf("arrival %v: the destination took %v, and %d is not said to be late", e.arrival, every, f.version)
			}
		}
	}
	if c.overlaps > 0 {
		s.Errorf("%d requests for one entity while another one was under way", c.overlaps)
	}
	if superseded == 0 || outside > len(entities)/2 {
		s.Errorf("too little happened to tell: %d entities with something superseded, %d outside the window", superseded, outside)
	}
	for _, state := range []string{"pending", "sending", "held", "dead"} {
		var page struct{ Data []struct{ ID, Reason string } }
		s.Until(rows.Patience, "nothing is "+state, func() bool {
			o.tend()
			s.Ask(0, "/deliveries?limit=1&state="+state, &page)
			return len(page.Data) == 0
		})
	}
	s.Logf("%d dead letters for poison replayed, %d more that a newer version made pointless skipped", len(o.replayed), o.skipped)
	s.Logf("%d requests, %d inversions, %d of %d entities outside the settle window, %d deliveries late", sent, inverted, outside, len(entities), late)
}

func has(es []effect, version int) bool {
	for _, e := range es {
		if e.version == version {
			return true
		}
	}
	return false
}

// inversions counts the effects that came after one of a newer version.
func inversions(es []effect) (n int) {
	for i := 1; i < len(es); i++ {
		if es[i].version < es[i-1].version {
			n++
		}
	}
	return n
}
