package systems

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// contacts is a system that keeps one for each request to create one: it knows no
// keys and refuses no second. What was created shows in its search after a while.
type contacts struct {
	*httptest.Server
	mu    sync.Mutex
	round *round
	of    map[string][]*contact // by email
	by    map[string]*contact   // by id
	lost  map[string]bool       // emails whose first creation was cut off
}

type contact struct {
	ID, Email, Name string
	made            time.Time
}

// shows is how far the search is behind.
const shows = 400 * time.Millisecond

func newContacts(t *testing.T) *contacts {
	c := &contacts{of: map[string][]*contact{}, by: map[string]*contact{}, lost: map[string]bool{}}
	c.Server = rows.Serve(t, c.serve)
	return c
}

func (c *contacts) serve(w http.ResponseWriter, r *http.Request) {
	var in contact
	_ = json.NewDecoder(r.Body).Decode(&in)
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost && c.cutOff(w, r, &in) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch id := strings.TrimPrefix(r.URL.Path, "/contacts/"); {
	case r.Method == http.MethodGet:
		found := []*contact{}
		for _, k := range c.of[r.URL.Query().Get("email")] {
			if time.Since(k.made) > shows {
				found = append(found, k)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"results": found})
	case r.Method == http.MethodPost:
		_ = json.NewEncoder(w).Encode(c.create(in))
	case c.by[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		c.by[id].Name = in.Name
		_ = json.NewEncoder(w).Encode(c.by[id])
	}
}

func (c *contacts) create(in contact) *contact {
	k := &in
	k.ID, k.made = fmt.Sprint("c", len(c.by)+1), time.Now()
	c.of[k.Email], c.by[k.ID] = append(c.of[k.Email], k), k
	return k
}

// cutOff has the first creation of an email wait for what becomes of its round: half
// of them have taken effect by then, the others never do.
func (c *contacts) cutOff(w http.ResponseWriter, r *http.Request, in *contact) bool {
	c.mu.Lock()
	if c.lost[in.Email] {
		c.mu.Unlock()
		return false
	}
	c.lost[in.Email] = true
	if done := len(c.lost)%2 == 0; done {
		c.create(*in)
	}
	round := c.round
	c.mu.Unlock()
	round.reached <- struct{}{}
	select {
	case <-round.release:
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// The gateway is killed while it creates the records of many entities, of which it
// never learns whether they are there: each entity has one in the end, as its newest
// event says.
func TestG6_KilledWhileCreating(t *testing.T) { each(t, killedWhileCreating) }

func killedWhileCreating(t *testing.T, nodes int) {
	const users = 8 // in each round
	kills := rows.Times(3, 100)
	if nodes > 1 {
		kills = rows.Times(1, 20) // each costs a takeover
	}
	c := newContacts(t)
	s := open(t, nodes, witness.Setup{
		Sources: "  app: { provider: none, id: .event, type: .type }",
		Destinations: `  contacts:
    system: crm
    timeout: 60s
    retry: { first: 100ms, cap: 1s, max: 20 }
    body: '{email: .email, name: .name}'
    upsert: { find: ["GET /contacts?email={.email}"], found: ".results[0]", create: POST /contacts, update: "PATCH /contacts/{$link.crm}", id: .ID, lag: 1500ms }`,
		Routes: "  - { from: app, to: contacts, entity: user, order: latest }",
		Extra: "systems: { crm: { url: \"" + c.URL + "\", breaker: off } }\n" +
			"entities: { user: { app: { key: .user, version: .version } } }\n",
	})
	post := func(node, round, user, version int) {
		addr := s.Fleet.Nodes[node%nodes].Addr
		status, said, err := s.Do(http.MethodPost, "http://"+addr+"/in/app", http.Header{"Content-Type": {"application/json"}},
			fmt.Sprintf(`{"event":"%d-%d-%d","type":"user.changed","user":"%d-%d","version":%d,"email":"%d-%d@example.com","name":"version %d"}`,
				round, user, version, round, user, version, round, user, version))
		if err != nil || status != http.StatusOK {
			s.Abort("an event was answered %d: %v: %s", status, err, said)
		}
	}
	for n := range kills {
		r := newRound(users)
		c.mu.Lock()
		c.round = r
		c.mu.Unlock()
		for u := range users {
			post(u, n, u, 1)
		}
		deadline := time.After(patience)
		for i := range users {
			select {
			case <-r.reached:
			case <-deadline:
				s.Abort("kill %d: %d of %d creations reached their system", n, i, users)
			}
		}
		var all []int
		for i := range nodes {
			must(t, s.Fleet.Kill(i))
			all = append(all, i)
		}
		close(r.release)
		s.Start(all...)
		for u := range users { // one that is newer comes while the first is in doubt, and comes twice
			post(u, n, u, 2)
			post(u+1, n, u, 2)
		}
	}
	s.Until(patience, "nothing waits", func() bool {
		for _, state := range []string{"held", "pending", "sending", "pending"} { // in the order in which one moves
			var page struct{ Data []any }
			if s.Ask(0, "/deliveries?limit=1&destination=contacts&state="+state, &page); len(page.Data) > 0 {
				return false
			}
		}
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range kills {
		for u := range users {
			email := fmt.Sprintf("%d-%d@example.com", n, u)
			if got := c.of[email]; len(got) != 1 || got[0].Name != "version 2" {
				var names []string
				for _, k := range got {
					names = append(names, k.ID+" "+k.Name)
				}
				t.Errorf("%s has %d contacts, %q", email, len(got), names)
			}
		}
	}
	t.Logf("%d kills, %d users, one contact each", kills, kills*users)
}
