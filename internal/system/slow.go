package system

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	maxHold  = 24 * time.Hour
	holdStep = 500 * time.Millisecond // a hold is not written for less

	slowest  = 0.1              // requests a second, below which a system is not slowed down
	cutEvery = time.Second      // what was sent before a cut tells nothing new
	regrow   = 30 * time.Second // from nothing to what there was
)

// pace is the rate that we allow ourselves where a system says that we are too
// fast: half of what there was, growing again with success. The system's lock
// guards it.
type pace struct {
	rate  float64 // requests a second; 0: as configured
	full  float64 // at which it is over
	next  time.Time
	cutAt time.Time
	grown time.Time
}

func (p *pace) on() bool { return p.rate > 0 }

// cut halves it. measured is how many a second there were, limit how many there
// may be, 0 for any number.
func (p *pace) cut(now time.Time, measured, limit float64) {
	if p.on() && now.Sub(p.cutAt) < cutEvery {
		return
	}
	if !p.on() {
		p.rate, p.full = max(measured, 1), 2*max(measured, 1)
		if limit > 0 {
			p.rate, p.full = min(p.rate, limit), limit
		}
	}
	p.rate = max(p.rate/2, slowest)
	p.cutAt, p.grown = now, now
	if at := now.Add(p.gap()); at.After(p.next) {
		p.next = at
	}
}

// grow lets it rise by what a success is worth.
func (p *pace) grow(now time.Time) {
	if !p.on() {
		return
	}
	d := min(now.Sub(p.grown), time.Second)
	if d <= 0 {
		return
	}
	p.grown = now
	if p.rate += p.full * d.Seconds() / regrow.Seconds(); p.rate >= p.full {
		*p = pace{}
	}
}

func (p *pace) gap() time.Duration {
	return time.Duration(float64(time.Second) / p.rate)
}

// pass notes that one more goes.
func (p *pace) pass(now time.Time) {
	if p.on() {
		p.next = laterOf(p.next, now).Add(p.gap())
	}
}

// heed does what an answer asks for.
func (y *System) heed(set *settings, r *seawall.Response, now time.Time) {
	busy := r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable
	var until time.Time
	if busy {
		if d, err := settle.RetryAfter(r.Headers.Get("Retry-After"), now); err == nil && d > 0 {
			until = now.Add(d)
		}
	}
	if until.IsZero() {
		if d := exhausted(r.Headers, now); d > 0 {
			until = now.Add(d)
		}
	}
	// A 503 without a time is a failure like others: it is the breaker's. Were each
	// taken for "too fast", a system that refuses one in fifty would crawl.
	busy = busy && (r.Status == http.StatusTooManyRequests || !until.IsZero())
	if !busy && until.IsZero() && y.free.Load() {
		return
	}
	y.mu.Lock()
	switch {
	case busy:
		limit := 0.0
		if set.Limit.Every > 0 {
			limit = 1 / set.Limit.Every.Seconds()
		}
		y.pace.cut(now, y.seen.rate(now), limit)
	case r.Status < 400 && y.pace.on():
		y.pace.grow(now)
	}
	write := until.After(y.held.Add(holdStep))
	if write {
		y.held = until
	}
	y.changed()
	y.mu.Unlock()
	if write {
		y.all.spawn(func() { y.hold(until) })
	}
}

// hold has all nodes leave the system alone until then.
func (y *System) hold(until time.Time) {
	err := y.change(context.Background(), func(next *store.SystemState, _ time.Time) (string, bool) {
		if !until.After(next.Hold.Add(holdStep)) {
			return "", false
		}
		next.Hold = until
		return "", true
	})
	if err != nil {
		y.all.complain("other nodes do not know that a system asked for a pause", "system", y.name, "error", err)
	}
}

// exhausted is for how long the headers of a rate limit say that nothing is left;
// 0 if something is, or they say nothing sensible.
//
// There are three families: X-RateLimit-Remaining and -Reset, in seconds to go or
// as a time; RateLimit-Remaining and -Reset in seconds to go, of the earlier
// drafts; and RateLimit with r and t, of the later ones.
func exhausted(h http.Header, now time.Time) time.Duration {
	for _, prefix := range [...]string{"Ratelimit-", "X-Ratelimit-"} {
		left, ok := h[prefix+"Remaining"]
		if !ok || len(left) == 0 || strings.TrimSpace(left[0]) != "0" {
			continue
		}
		if d := resets(h.Get(prefix+"Reset"), now); d > 0 {
			return min(d, maxHold)
		}
	}
	var most time.Duration
	for _, line := range h["Ratelimit"] {
		for quota := range strings.SplitSeq(line, ",") {
			var left, again = -1, 0
			for part := range strings.SplitSeq(quota, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
				n, err := strconv.Atoi(value)
				switch {
				case err != nil:
				case name == "r":
					left = n
				case name == "t":
					again = n
				}
			}
			if left == 0 && again > 0 {
				most = max(most, time.Duration(min(again, int(maxHold/time.Second)))*time.Second)
			}
		}
	}
	return most
}

// resets reads when a limit begins anew: in seconds to go, which may have a
// fraction, as a Unix time in seconds or milliseconds, or as a date.
func resets(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		switch {
		case !(n > 0), n > 1e14:
			return 0
		case n > 1e11:
			return time.UnixMilli(int64(n)).Sub(now)
		case n > 5e8:
			return time.Unix(int64(n), 0).Sub(now)
		case n > maxHold.Seconds():
			return maxHold
		}
		return time.Duration(n * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return at.Sub(now)
	}
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return at.Sub(now)
	}
	return 0
}
