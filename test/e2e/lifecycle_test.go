package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

const appSecret = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="

// config is a gateway with a source for GitHub and the destinations and routes
// that a test names.
func config(rest string) string {
	return "egress: { allow: [\"127.0.0.0/8\"] }\nsources:\n  github: { provider: github, secret: \"${GITHUB_SECRET}\" }\n" + rest
}

func oneRoute(url string) string {
	return config(fmt.Sprintf(`destinations:
  app: { url: %q, sign: { secret: "${APP_SECRET}" }, retry: { first: 100ms, max: 3 } }
routes:
  - { from: github, to: app }
`, url))
}

var secrets = []string{"GITHUB_SECRET=" + inSecret, "APP_SECRET=" + appSecret}

// push sends the n-th event and expects it to be taken.
func push(t *testing.T, g *gateway, n int) {
	t.Helper()
	body := fmt.Sprintf(`{"ref":"refs/heads/%d"}`, n)
	if status, text := g.post("github", github(inSecret, "push", fmt.Sprint(n), body), []byte(body)); status != http.StatusOK {
		t.Fatalf("event %d: %d %s", n, status, text)
	}
}

// G4: what was being delivered when the gateway was killed is delivered by the
// next one, under the same id, and counted as another attempt.
func TestG4_RetryAfterAKillKeepsItsID(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	var calls atomic.Int32
	d := newDestination(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			<-hang // the gateway dies before it is answered
		}
		w.WriteHeader(http.StatusNoContent)
	})
	defer close(hang)
	g := newGateway(t, oneRoute(d.URL), secrets...)
	g.start()
	push(t, g, 1)
	first := d.next()
	g.kill()
	g.start()
	second := d.next()

	if a, b := first.header.Get("webhook-id"), second.header.Get("webhook-id"); a != b || a == "" {
		t.Errorf("webhook-id %q, then %q", a, b)
	}
	if a, b := string(first.body), string(second.body); a != b {
		t.Errorf("body %q, then %q", a, b)
	}
	if !signed(appSecret, second) {
		t.Error("the repetition is not signed")
	}
	g.until("deliver it", func() bool { return len(g.list("/deliveries?state=delivered")) == 1 })
	g.stop()
	d.none()
}

// G2: what is given up is a dead letter, and a replay delivers it under its id.
func TestG2_DeadLetterIsReplayed(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	d := newDestination(t, func(w http.ResponseWriter, r *http.Request) {
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	g := newGateway(t, oneRoute(d.URL), secrets...)
	g.start()
	push(t, g, 1)
	ids := map[string]bool{}
	for try := range 4 {
		r := d.next()
		ids[r.header.Get("webhook-id")] = true
		if got := r.header.Get("seawall-attempt"); got != fmt.Sprint(try+1) {
			t.Errorf("seawall-attempt %s, want %d", got, try+1)
		}
	}
	g.until("give it up", func() bool { return len(g.list("/deliveries?state=dead")) == 1 })
	d.none()

	up.Store(true)
	replay := map[string]any{"filter": map[string]any{"state": "dead", "destination": "app"}, "dry_run": true}
	if got := g.order("/replays", replay)["matched"]; got != 1.0 {
		t.Errorf("the dry run matched %v", got)
	}
	replay["dry_run"] = false
	g.order("/replays", replay)
	ids[d.next().header.Get("webhook-id")] = true
	if len(ids) != 1 {
		t.Errorf("%d ids over its attempts, want one: %v", len(ids), ids)
	}
	g.until("deliver it", func() bool { return len(g.list("/deliveries?state=delivered")) == 1 })
	if got := g.order("/replays", replay)["replayed"]; got != 0.0 {
		t.Errorf("the same order again replayed %v", got)
	}
	g.stop()
}

// G10: a stop in the middle loses nothing, and neither does a reload; a file
// with a mistake changes nothing.
func TestG10_ReloadAndRestartLoseNothing(t *testing.T) {
	t.Parallel()
	const events = 200
	d := newDestination(t, nil)
	other := newDestination(t, nil)
	g := newGateway(t, oneRoute(d.URL), secrets...)
	g.start()

	revision := func() float64 {
		var s row
		g.get("/status", &s)
		return s["revision"].(float64)
	}
	before := revision()
	for n := range events {
		switch n {
		case events / 4:
			g.write(strings.Replace(oneRoute(d.URL), "to: app", "to: ap", 1))
			g.signal(syscall.SIGHUP)
			g.until("refuse the mistake", func() bool { return strings.Contains(g.output.String(), "did you mean") })
			if now := revision(); now != before {
				t.Errorf("revision %v after a file with a mistake, want %v", now, before)
			}
		case events / 2:
			both := strings.Replace(oneRoute(d.URL), "routes:", fmt.Sprintf("  other: { url: %q }\nroutes:\n  - { from: github, to: other }", other.URL), 1)
			g.write(both)
			g.signal(syscall.SIGHUP)
			g.until("take the new file", func() bool { return revision() > before })
		case 3 * events / 4:
			g.stop()
			g.start()
		}
		push(t, g, n)
	}

	seen := map[string]int{}
	for range events {
		seen[string(d.next().body)]++
	}
	if len(seen) != events {
		t.Errorf("%d different events delivered, want %d", len(seen), events)
	}
	for range events / 2 {
		other.next()
	}
	g.until("have nothing left", func() bool { return len(g.list("/deliveries?state=pending")) == 0 })
	g.stop()
	d.none()
	other.none()
}

// G7: a destination that hangs and one that refuses slow only themselves.
func TestG7_OneDestinationDownDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	const events = 100
	release := make(chan struct{})
	hung := newDestination(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	down := newDestination(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	well := newDestination(t, nil)
	g := newGateway(t, config(fmt.Sprintf(`destinations:
  hung: { url: %q, timeout: 20s, concurrency: 2 }
  down: { url: %q }
  well: { url: %q }
routes:
  - { from: github, to: hung }
  - { from: github, to: down }
  - { from: github, to: well }
`, hung.URL, down.URL, well.URL)), secrets...)
	g.start()
	for n := range events {
		push(t, g, n)
	}
	for range events {
		well.next()
	}
	g.until("settle them", func() bool { return len(g.list("/deliveries?state=delivered&limit=1000")) == events })
	if n := len(hung.sent); n > 2 {
		t.Errorf("%d requests at once to a destination with concurrency 2", n)
	}
	g.kill() // what hangs would hold up an orderly stop until its timeout
}

// G3: one source event is one event, however often and however concurrently it
// comes; another body under its id is kept as a conflict.
func TestG3_DuplicatesAreOneEvent(t *testing.T) {
	t.Parallel()
	d := newDestination(t, nil)
	g := newGateway(t, oneRoute(d.URL), secrets...)
	g.start()
	body := `{"ref":"refs/heads/main"}`
	done := make(chan string, 50)
	for range cap(done) {
		go func() {
			status, text, err := try(t.Context(), "POST", g.public+"/in/github", github(inSecret, "push", "same", body), []byte(body))
			done <- fmt.Sprint(status, " ", text, err)
		}()
	}
	answers := map[string]bool{}
	for range cap(done) {
		answers[<-done] = true
	}
	if len(answers) != 1 {
		t.Errorf("different answers to one event: %v", answers)
	}
	changed := `{"ref":"refs/heads/other"}`
	if status, text := g.post("github", github(inSecret, "push", "same", changed), []byte(changed)); status != http.StatusOK {
		t.Errorf("conflict: %d %s", status, text)
	}
	if r := d.next(); string(r.body) != body {
		t.Errorf("delivered %s", r.body)
	}

	events := g.list("/events")
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	var story struct{ Duplicates, Conflicts int }
	g.get("/events/"+events[0]["id"].(string), &story)
	if story.Duplicates != cap(done)-1 || story.Conflicts != 1 {
		t.Errorf("%d duplicates and %d conflicts are told, want %d and 1", story.Duplicates, story.Conflicts, cap(done)-1)
	}
	g.stop()
	d.none()
}

// G9: a request that was turned away is kept, with the reason.
func TestG9_RejectionIsKeptWithItsReason(t *testing.T) {
	t.Parallel()
	d := newDestination(t, nil)
	g := newGateway(t, oneRoute(d.URL), secrets...)
	g.start()
	body := `{"ref":"refs/heads/main"}`
	status, text := g.post("github", github("another-secret-0123456789", "push", "1", body), []byte(body))
	if status != http.StatusUnauthorized {
		t.Errorf("%d %s", status, text)
	}
	g.until("keep the arrival", func() bool { return len(g.list("/arrivals?source=github&verdict=rejected")) == 1 })
	a := g.list("/arrivals?source=github&verdict=rejected")[0]
	if a["reason"] != "signature_mismatch" || a["status"] != 401.0 {
		t.Errorf("the arrival says %v and %v", a["reason"], a["status"])
	}
	if status, _ := g.post("nobody", http.Header{}, nil); status != http.StatusNotFound {
		t.Errorf("unknown source: %d", status)
	}
	if n := len(g.list("/events")); n != 0 {
		t.Errorf("%d events came of it", n)
	}
	g.stop()
	d.none()
}
