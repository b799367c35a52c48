package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// The first event of a user creates the contact, and each that follows updates it.
func TestFirstEventCreatesLaterOnesUpdate(t *testing.T) { onBoth(t, createsAndUpdates) }

func createsAndUpdates(t *testing.T, on func(*config.Config) *config.Config) {
	c := newCRM(t)
	r := run(t, on(users(t, c)))
	r.user(7, 1, "Ann")
	first := r.comes(7, seawall.Delivered)
	if got, want := r.story(first.ID), []string{"check ok, find", "create ok 201"}; !slices.Equal(got, want) {
		t.Errorf("the first: %q, want %q", got, want)
	}
	if got := r.link("user/7"); got != "101" {
		t.Errorf("link: %q", got)
	}
	r.user(7, 2, "Anna")
	eventually(t, "another one", func() bool { return r.latest(7).ID != first.ID })
	next := r.comes(7, seawall.Delivered)
	if got, want := r.story(next.ID), []string{"send ok 200"}; !slices.Equal(got, want) {
		t.Errorf("the next: %q, want %q", got, want)
	}
	if got := c.of("u7@example.com"); len(got) != 1 || got[0].Name != "Anna" {
		t.Errorf("%+v", got)
	}
}

// However a creation goes wrong, there is one contact in the end, and the delivery
// says what was done about it.
func TestG6_OneRecordHoweverItsCreationGoes(t *testing.T) {
	first := func(method, act string) func(*http.Request, int) string {
		done := false
		return func(r *http.Request, _ int) string {
			if r.Method != method || done {
				return ""
			}
			done = true
			return act
		}
	}
	there := func(c *crm, user any, age time.Duration) {
		c.contacts = append(c.contacts, &contact{ID: "55", Email: "u7@example.com", User: user, made: time.Now().Add(-age)})
	}
	for _, k := range []struct {
		name    string
		set     func(c *crm)
		posts   int
		created int // contacts in the end
		link    string
		story   []string // the steps in turn, those that are the same left out
	}{
		{"it is lost after it was done", func(c *crm) { c.act = first("POST", "lose") }, 1, 1, "101",
			[]string{"check ok, find", "create unknown", "check ok, find", "send ok 200"}},
		{"that, and the search is behind", func(c *crm) { c.act, c.lag = first("POST", "lose"), 400*time.Millisecond }, 1, 1, "101",
			[]string{"check ok, find", "create unknown", "check unknown, find", "check ok, find", "send ok 200"}},
		{"it is lost before it was done", func(c *crm) { c.act = first("POST", "drop") }, 2, 1, "101",
			[]string{"check ok, find", "create unknown", "check unknown, find", "check ok, find", "create ok 201"}},
		{"500, and it was not done", func(c *crm) { c.act = first("POST", "500") }, 2, 1, "101",
			[]string{"check ok, find", "create unknown 500", "check unknown, find", "check ok, find", "create ok 201"}},
		{"429", func(c *crm) { c.act = first("POST", "429") }, 2, 1, "101",
			[]string{"check ok, find", "create refused 429", "check ok, find", "create ok 201"}},
		{"the answer has no id", func(c *crm) { c.act = first("POST", "blank") }, 1, 1, "101",
			[]string{"check ok, find", "create ok 201", "check ok, find", "send ok 200"}},
		{"it is there already", func(c *crm) { there(c, nil, time.Hour) }, 0, 1, "55",
			[]string{"check ok, find", "send ok 200"}},
		{"it is there, and does not show yet", func(c *crm) {
			c.strict, c.lag = true, 400*time.Millisecond
			there(c, "7", 0)
			c.act = func(_ *http.Request, n int) string {
				if n == 1 {
					c.contacts[0].made = time.Now()
				}
				return ""
			}
		}, 1, 1, "55",
			[]string{"check ok, find", "create refused 409", "check unknown, find", "check ok, find", "send ok 200"}},
		{"the find fails", func(c *crm) { c.act = first("GET", "500") }, 1, 1, "101",
			[]string{"check failed, find", "check ok, find", "create ok 201"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := newCRM(t)
			k.set(c)
			r := run(t, users(t, c))
			r.user(7, 1, "Ann")
			d := r.comes(7, seawall.Delivered)
			if got := slices.Compact(r.story(d.ID)); !slices.Equal(got, k.story) {
				t.Errorf("%q, want %q", got, k.story)
			}
			if got := c.of("u7@example.com"); len(got) != k.created || got[0].Name != "Ann" {
				t.Errorf("contacts: %+v", got)
			}
			if n, link := c.requests("POST"), r.link("user/7"); n != k.posts || link != k.link {
				t.Errorf("%d creations, want %d; link %q, want %q", n, k.posts, link, k.link)
			}
		})
	}
}

// A system that takes our key gets the same one each time that it is asked to create.
func TestG6_CreatedAgainUnderTheSameKey(t *testing.T) {
	c := newCRM(t)
	c.keys, c.lag = map[string]string{}, time.Hour // the search never shows it
	lost := false
	c.act = func(r *http.Request, _ int) string {
		if r.Method == http.MethodPost && !lost {
			lost = true
			return "lose"
		}
		return ""
	}
	r := run(t, users(t, c, "off SYSTEM", "off, idempotency: { valid: 1h }"))
	r.user(7, 1, "Ann")
	r.comes(7, seawall.Delivered)
	if got := c.of("u7@example.com"); len(got) != 1 || c.requests("POST") != 2 {
		t.Errorf("%+v, created %d times", got, c.requests("POST"))
	}
}

// What is held for a person says which record it is about, and goes on when that is
// put right.
func TestARecordThatMayNotBeAdoptedIsHeld(t *testing.T) {
	c := newCRM(t)
	c.contacts = []*contact{{ID: "55", Email: "u7@example.com", User: "8"}}
	r := run(t, users(t, c))
	r.user(7, 1, "Ann")
	d := r.comes(7, seawall.Held)
	if !strings.HasPrefix(d.Reason, seawall.ReasonRecord) || !strings.Contains(d.Reason, "55") || !d.Replayable() {
		t.Errorf("held for %q", d.Reason)
	}
	if c.requests("GET") != 1 || c.requests("P") != 0 {
		t.Errorf("asked: %q", c.asked)
	}
	c.mu.Lock()
	c.contacts[0].User = nil
	c.mu.Unlock()
	if ds, err := r.store.Replay(t.Context(), []seawall.DeliveryID{d.ID}, store.ReplayOptions{At: time.Now()}, action("replay")); err != nil || len(ds) != 1 {
		t.Fatalf("%d replayed, %v", len(ds), err)
	}
	(*gateway)(r.App).Wake("contacts")
	r.until(d.ID, seawall.Delivered)
	if got := c.of("u7@example.com"); len(got) != 1 || got[0].ID != "55" || got[0].Name != "Ann" {
		t.Errorf("%+v", got)
	}
}

// A record is one entity's: who finds another's is held.
func TestARecordOfAnotherEntityIsNotAdopted(t *testing.T) {
	c := newCRM(t)
	r := run(t, users(t, c, "adopt: '.user_id == null or (.user_id | tostring) == $entity.key'", ""))
	r.user(7, 1, "Ann")
	r.comes(7, seawall.Delivered)
	r.post(`{"event":"8.1","type":"user.changed","user":{"id":8,"version":1,"email":"u7@example.com","name":"Bob"}}`)
	d := r.comes(8, seawall.Held)
	if !strings.Contains(d.Reason, "user/7") || !strings.Contains(d.Reason, "101") {
		t.Errorf("held for %q", d.Reason)
	}
	if got := c.of("u7@example.com"); len(got) != 1 || got[0].Name != "Ann" {
		t.Errorf("%+v", got)
	}
}

// A contact that somebody deleted is created anew, and its link replaced; one that was
// merged into another is found.
func TestARecordThatIsGoneIsFoundOrCreated(t *testing.T) {
	for name, other := range map[string]bool{"created": false, "found": true} {
		t.Run(name, func(t *testing.T) {
			c := newCRM(t)
			r := run(t, users(t, c))
			r.user(7, 1, "Ann")
			first := r.comes(7, seawall.Delivered)
			c.mu.Lock()
			c.contacts[0].ID, c.contacts[0].Email = "deleted", "nobody"
			if other {
				c.contacts = append(c.contacts, &contact{ID: "900", Email: "u7@example.com"})
			}
			c.mu.Unlock()
			r.user(7, 2, "Anna")
			eventually(t, "another one", func() bool { return r.latest(7).ID != first.ID })
			d := r.comes(7, seawall.Delivered)
			want, link := []string{"send refused 404", "check ok, find", "create ok 201"}, "102"
			if other {
				want, link = []string{"send refused 404", "check ok, find", "send ok 200"}, "900"
			}
			if got := r.story(d.ID); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if got := c.of("u7@example.com"); len(got) != 1 || got[0].Name != "Anna" || r.link("user/7") != link {
				t.Errorf("%+v, link %q", got, r.link("user/7"))
			}
		})
	}
}

// A search for the email of nobody would find everybody.
func TestNothingIsLookedForByNothing(t *testing.T) {
	c := newCRM(t)
	c.contacts = []*contact{{ID: "55"}}
	r := run(t, users(t, c))
	r.post(`{"event":"1","type":"user.changed","user":{"id":7,"version":1,"name":"Ann"}}`)
	r.comes(7, seawall.Delivered)
	if c.requests("GET") != 0 || c.requests("POST") != 1 || r.link("user/7") != "102" {
		t.Errorf("asked %q, link %q", c.asked, r.link("user/7"))
	}
}

// While a creation is in doubt, a person who gives the delivery up does not make the
// next event create a second record.
func TestG6_ADoubtOutlivesItsDelivery(t *testing.T) {
	c := newCRM(t)
	c.lag = 400 * time.Millisecond
	lost := make(chan struct{})
	var once sync.Once
	c.act = func(r *http.Request, _ int) string {
		if r.Method != http.MethodPost {
			return ""
		}
		act := ""
		once.Do(func() { act = "lose"; close(lost) })
		return act
	}
	r := run(t, users(t, c))
	r.user(7, 1, "Ann")
	<-lost
	var first *seawall.Delivery
	eventually(t, "in doubt", func() bool { first = r.latest(7); return first.Step == seawall.Check && first.Attempts > 1 })
	if ids, err := r.store.Cancel(t.Context(), []seawall.DeliveryID{first.ID}, "test", action("cancel")); err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	r.user(7, 2, "Anna")
	eventually(t, "another one", func() bool { return r.latest(7).ID != first.ID })
	r.comes(7, seawall.Delivered)
	if got := c.of("u7@example.com"); len(got) != 1 || got[0].Name != "Anna" || c.requests("POST") != 1 {
		t.Errorf("%+v of %d creations", got, c.requests("POST"))
	}
}

// What was created is linked, though a person gave its delivery up meanwhile.
func TestG6_WhatWasCreatedIsLinkedThoughItWasCanceled(t *testing.T) {
	onBoth(t, func(t *testing.T, on func(*config.Config) *config.Config) {
		c := newCRM(t)
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		c.act = func(r *http.Request, _ int) string {
			if r.Method == http.MethodPost {
				once.Do(func() { close(reached); <-release })
			}
			return ""
		}
		r := run(t, on(users(t, c)))
		r.user(7, 1, "Ann")
		<-reached
		id := r.latest(7).ID
		_, err := r.store.Cancel(t.Context(), []seawall.DeliveryID{id}, "test", action("cancel"))
		close(release)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the link is there", func() bool { return r.link("user/7") == "101" })
		if d := r.latest(7); d.State != seawall.Canceled && d.State != seawall.Delivered {
			t.Errorf("it is %s", d.State)
		}
	})
}

// What is said not to be repeatable is not: an update of unknown outcome is held.
func TestG6_AnUpdateThatMayNotBeRepeatedIsHeld(t *testing.T) {
	c := newCRM(t)
	c.act = func(r *http.Request, _ int) string {
		if r.Method == http.MethodPatch {
			return "lose"
		}
		return ""
	}
	r := run(t, users(t, c, "UPSERT", "repeatable: false"))
	r.user(7, 1, "Ann")
	first := r.comes(7, seawall.Delivered)
	r.user(7, 2, "Anna")
	eventually(t, "another one", func() bool { return r.latest(7).ID != first.ID })
	if d := r.comes(7, seawall.Held); d.Reason != seawall.ReasonUnknown || c.requests("PATCH") != 1 {
		t.Errorf("%q after %d updates", d.Reason, c.requests("PATCH"))
	}
}

// $link is there for everybody who uses it: in a path, a header, a body and a
// transform.
func TestLinksAreThereWhenSomethingIsSent(t *testing.T) {
	c, shop := newCRM(t), newConsumer(t)
	r := run(t, users(t, c, "destinations:\n", `destinations:
  audit:
    url: "`+shop.URL+`/of/{$link.crm}"
    headers: { X-Contact: "c-{$link.crm}{$link.other}" }
    body: '{contact: $link.crm, transformed: .}'
`, "routes:\n", `routes:
  - { name: audit, from: app, types: ["audit"], to: audit, transform: '{link: $link["crm"], other: $link.other}' }
`, `types: ["user.*"], key`, `types: ["user.*", "audit"], key`))
	r.user(7, 1, "Ann")
	r.comes(7, seawall.Delivered)
	r.post(`{"event":"a","type":"audit","user":{"id":7,"version":1}}`)
	got := shop.next(t)
	body, _ := shop.bodies.Load(got.Header.Get("Webhook-Id"))
	if got.URL.Path != "/of/101" || got.Header.Get("X-Contact") != "c-101" || string(body.([]byte)) != `{"contact":"101","transformed":{"link":"101","other":null}}` {
		t.Errorf("%s %q %s", got.URL, got.Header.Get("X-Contact"), body)
	}
}

// An event that belongs to no user is not somebody's contact.
func TestWhatBelongsToNobodyIsNotKept(t *testing.T) {
	c := newCRM(t)
	cfg := users(t, c)
	cfg.Destinations[0].Retry.Max = 1
	r := run(t, cfg)
	r.post(`{"event":"1","type":"user.changed","user":{"version":1,"name":"Ann"}}`)
	d := r.only("app", seawall.Dead)
	if !strings.Contains(d.Reason, "no entity") || len(c.asked) > 0 {
		t.Errorf("%s; asked %q", d.Reason, c.asked)
	}
}

// Whatever the system does, in any order: of each user there is one contact, as the
// newest event has it.
func TestG5_OneRecordForEachEntity(t *testing.T) { onBoth(t, oneForEach) }

func oneForEach(t *testing.T, on func(*config.Config) *config.Config) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := newCRM(t)
	c.lag = 200 * time.Millisecond
	c.act = func(r *http.Request, n int) string { // under the lock of c
		if n > 200 {
			return ""
		}
		switch x := random.IntN(20); {
		case x < 2:
			return "lose"
		case x < 4:
			return "drop"
		case x == 4 && !isGet(r):
			return "503"
		case x == 5:
			return "502"
		case x == 6 && r.Method == http.MethodPost:
			return "blank"
		case x == 7 && r.Method == http.MethodPatch && len(c.contacts) < 40: // somebody deletes it
			for _, k := range c.contacts {
				if "/contacts/"+k.ID == r.URL.Path {
					k.ID, k.Email = "deleted "+k.ID, "nobody"
				}
			}
		}
		return ""
	}
	r := run(t, on(users(t, c, "lag: 800ms", "lag: 400ms")))
	const people, versions = 8, 5
	var wg sync.WaitGroup
	for id := 1; id <= people; id++ {
		for v := range versions {
			wg.Go(func() { r.user(id, v+1, fmt.Sprint("version ", v+1)) })
			if v == 0 {
				wg.Go(func() { r.user(id, 1, "version 1") }) // it comes twice
			}
		}
	}
	wg.Wait()
	r.rests(t)
	for id := 1; id <= people; id++ {
		got := c.of(fmt.Sprintf("u%d@example.com", id))
		if len(got) != 1 || got[0].Name != fmt.Sprint("version ", versions) || r.link(fmt.Sprintf("user/%d", id)) != got[0].ID {
			t.Errorf("user %d: %+v, link %q\n%s", id, got, r.link(fmt.Sprintf("user/%d", id)), r.history(id))
		}
	}
	dead := seawall.Dead
	if l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{State: &dead}, store.Page{}); err != nil || len(l.Items) > 0 {
		t.Errorf("%d are dead, %v", len(l.Items), err)
	}
}

// history tells what became of all deliveries about a user.
func (r *running) history(id int) string {
	l, err := r.store.ListDeliveries(r.t.Context(), store.DeliveryFilter{Entity: fmt.Sprintf("user/%d", id)}, store.Page{Limit: 50})
	if err != nil {
		return err.Error()
	}
	var out strings.Builder
	for _, d := range l.Items {
		fmt.Fprintf(&out, "%s %s %q\n", d.ID, d.State, d.Reason)
		as, _ := r.store.Attempts(r.t.Context(), d.ID)
		for _, a := range as {
			fmt.Fprintf(&out, "  %s +%s %s %s %s %s %q: %s\n", a.At.Format("05.000"), a.Took, a.Step, a.Outcome, a.Request.Method, a.Request.URL, a.Request.Body, a.Next)
		}
	}
	return out.String()
}

// rests waits until no delivery waits for anything.
func (r *running) rests(t *testing.T) {
	t.Helper()
	var left []string
	defer func() {
		if t.Failed() {
			t.Logf("left: %s", strings.Join(left, "\n"))
		}
	}()
	eventually(t, "nothing waits", func() bool {
		left = left[:0]
		// In the order in which one moves, so that none slips through.
		for _, st := range []seawall.State{seawall.Held, seawall.Pending, seawall.Sending, seawall.Pending} {
			l, err := r.store.ListDeliveries(t.Context(), store.DeliveryFilter{State: &st}, store.Page{Limit: 5})
			if err != nil {
				return false
			}
			for _, d := range l.Items {
				left = append(left, fmt.Sprintf("%s %s %s: %s, %s, due in %s, %q", d.ID, d.Entity, d.State, d.Step, d.Reason, time.Until(d.Due), r.story(d.ID)))
			}
		}
		return len(left) == 0
	})
}
