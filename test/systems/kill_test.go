package systems

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// kinds are the systems of row 20: one that nobody can ask and that knows no keys,
// one that can be asked, one that knows keys.
var kinds = map[string]string{
	"keyless": "",
	"checked": `
    calls:
      - match: POST /charges
        on_unknown: [check, hold]
        check: { path: "/charges?order={$call.body.order}", found: ".charges > 0", absent: ".charges == 0", after: 50ms }`,
	"keyed": `
    idempotency: { header: Bank-Key, valid: 24h }`,
}

// Row 20. The gateway is killed between sending a call and recording what came of
// it: the system has said that the effect is done, and has not answered. Where the
// system knows our key, or can be asked, there is one effect and the call is
// delivered; where neither, the call is held, and nobody sends it again.
func TestG6_KilledInACall(t *testing.T) { each(t, killedInACall) }

func killedInACall(t *testing.T, nodes int) {
	const each = 6 // calls to each system in each round
	systems, kills := 1, rows.Times(6, 300)
	if nodes > 1 {
		// Each kill costs a takeover, so each interrupts more: 24 of a kind.
		systems, kills = 4, rows.Times(2, 26)
	}
	bank := newBank(t)
	var sections strings.Builder
	for kind, more := range kinds {
		for i := range systems {
			fmt.Fprintf(&sections, "  %s%d:\n    url: %s\n    timeout: 60s\n    retry: { first: 100ms, cap: 1s, max: 20 }%s\n", kind, i, bank.URL, more)
		}
	}
	s := open(t, nodes, witness.Setup{Extra: "systems:\n" + sections.String()})
	s.Authorize()
	dice := rand.New(rand.NewPCG(*rows.Seed, uint64(nodes)))
	certain := map[string]bool{} // keyless orders that were cut off, all of them in flight when every node died
	var orders []order
	for n := range kills {
		// Of three rounds one is answered in the very moment of the kill, and on two
		// nodes every other kill leaves one of them.
		race, all := n%3 == 2, nodes == 1 || n%2 == 1
		r := newRound(len(kinds) * systems * each)
		bank.begin(r)
		var posting sync.WaitGroup
		for kind := range kinds {
			for i := range systems {
				for j := range each {
					o := order{system: fmt.Sprint(kind, i), name: fmt.Sprintf("%s-%d-%d-%d", kind, i, n, j), lost: j == 0}
					orders = append(orders, o)
					if kind == "keyless" && all && !race {
						certain[o.name] = true
					}
					posting.Go(func() {
						if status, err := s.post(j%nodes, o); err != nil || status != http.StatusAccepted {
							t.Errorf("%s was answered %d: %v", o.name, status, err)
						}
					})
				}
			}
		}
		posting.Wait()
		deadline := time.After(patience)
		for i := range cap(r.reached) {
			select {
			case <-r.reached:
			case <-deadline:
				s.Abort("kill %d: %d of %d calls reached their system", n, i, cap(r.reached))
			}
		}
		if race {
			close(r.release)
			witness.Pause(t.Context(), time.Duration(dice.IntN(20_000))*time.Microsecond)
		}
		var dead []int
		for i := range nodes {
			if all || i == n/2%nodes {
				must(t, s.Fleet.Kill(i))
				dead = append(dead, i)
			}
		}
		if !race && !all {
			close(r.release) // for those of the node that lives
		}
		s.Start(dead...)
		// The product asks again, since it may not have heard.
		for _, o := range []order{orders[len(orders)-1], orders[dice.IntN(len(orders))]} {
			status, err := s.post(dead[0], o)
			if err != nil || status != http.StatusOK && status != http.StatusAccepted && status != http.StatusConflict {
				t.Errorf("%s, posted again, was answered %d: %v", o.name, status, err)
			}
		}
	}
	s.judge(bank, orders, certain, kills)
}

type order struct {
	system, name string
	lost         bool
}

// post hands an order over as a call.
func (s *scene) post(node int, o order) (int, error) {
	status, _, err := s.Do(http.MethodPost, "http://"+s.Internal[node]+"/api/v1/systems/"+o.system+"/calls",
		http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {o.name}},
		fmt.Sprintf(`{"method":"POST","path":"/charges","body":{"order":%q,"lost":%t}}`, o.name, o.lost))
	return status, err
}

// judge holds what the bank saw beside what a person sees of each call.
func (s *scene) judge(b *bank, orders []order, certain map[string]bool, kills int) {
	s.Helper()
	count := map[string]int{}
	for _, o := range orders {
		var page struct {
			Data []struct{ State, Reason string }
		}
		s.Until(patience, o.name+" has ended or is held", func() bool {
			s.Ask(0, fmt.Sprintf("/calls?key=%s&system=%s&by=shop", o.name, o.system), &page)
			if len(page.Data) != 1 {
				s.Fatalf("%s is %d calls", o.name, len(page.Data))
			}
			return page.Data[0].State != "pending" && page.Data[0].State != "sending"
		})
		state := page.Data[0].State
		kind, _, _ := strings.Cut(o.name, "-")
		b.mu.Lock()
		asked, effects, cut := b.asked[o.name], b.effects[o.name], b.cut[o.name]
		b.mu.Unlock()
		if cut {
			count[kind+" interrupted"]++
		}
		count[kind+" "+state]++
		switch {
		case kind != "keyless":
			if state != "delivered" || effects != 1 {
				s.Errorf("%s is %s after %d effects of %d requests, want delivered and one", o.name, state, effects, asked)
			}
		case asked != 1:
			s.Errorf("%s was sent %d times, and nobody could know whether it was done", o.name, asked)
		case state == "held" && page.Data[0].Reason != "unknown", state != "held" && state != "delivered":
			s.Errorf("%s is %s, for %q", o.name, state, page.Data[0].Reason)
		case state == "delivered" && (cut || effects != 1), certain[o.name] && state != "held":
			s.Errorf("%s is %s after %d effects, and was cut off: %v", o.name, state, effects, cut)
		}
	}
	if count["keyless held"] < len(certain) || count["checked interrupted"] == 0 || count["keyed interrupted"] == 0 {
		s.Errorf("too little was interrupted to tell: %v", count)
	}
	s.Logf("%d kills; of calls without key and check %d interrupted, %d held, %d delivered, 0 repeated; "+
		"with a check %d interrupted, %d delivered; under a key %d interrupted, %d delivered; one effect each", kills,
		count["keyless interrupted"], count["keyless held"], count["keyless delivered"],
		count["checked interrupted"], count["checked delivered"], count["keyed interrupted"], count["keyed delivered"])
}
