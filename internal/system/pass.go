package system

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/send"
)

// Pass is the leave to ask a system once.
type Pass struct {
	y     *System
	bound bool // something held others back: it is counted
	probe bool // it is the one that tells whether the system is back

	permit     time.Time // of the rate: until when another may have it
	used, left bool      // the system's lock guards them
}

// System is whose pass it is.
func (p *Pass) System() *System { return p.y }

// Leave gives it back; more than once does no harm.
func (p *Pass) Leave() {
	if !p.bound {
		return
	}
	y := p.y
	y.mu.Lock()
	defer y.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	y.flight--
	if !p.used {
		if now := y.all.Now(); now.Before(p.permit) && p.permit.Equal(y.lapse) {
			y.permits++
		}
		if p.probe {
			y.probing = false
		}
	}
	y.changed()
}

// Do makes one attempt: it adds the system's credentials, sends, and learns from
// what came of it. It takes r over, like [send.Sender.Do], and returns soon after
// ctx ends. Where the system refuses an access token, which is then renewed, the
// request is made a second time; nothing took effect of the first.
func (p *Pass) Do(ctx context.Context, r *send.Request, limits send.Timeouts) send.Reply {
	return p.ask(ctx, r, limits, func(ctx context.Context, s *send.Sender, r *send.Request) send.Reply {
		return s.Do(ctx, r, limits)
	})
}

// Stream is Do with the answer's body left to be read, like [send.Sender.Stream]:
// what is learned is learned from its header. The pass is given back when the
// body has been read.
//
// What the system echoes of its own credentials is taken out of what passes, which
// is therefore not asked for in a packed form.
func (p *Pass) Stream(ctx context.Context, r *send.Request, limits send.Timeouts) (resp *http.Response, reply send.Reply) {
	set := p.y.set.Load()
	veils := set.auth != nil && len(set.auth.secrets()) > 0
	if veils {
		r.Header.Del("Accept-Encoding")
	}
	reply = p.ask(ctx, r, limits, func(ctx context.Context, s *send.Sender, r *send.Request) (reply send.Reply) {
		if resp != nil {
			resp.Body.Close() // of the one that was refused
		}
		resp, reply = s.Stream(ctx, r, limits)
		// Whoever asks is about as patient as the system's timeout is long: that he
		// gives up is then a word about the system.
		if most := patience(limits); reply.Canceled && most > 0 && reply.Took >= most {
			reply.Canceled, reply.Err = false, fmt.Errorf("no answer within %s", reply.Took.Round(time.Second))
		}
		return reply
	})
	if resp != nil && veils {
		set.veil(resp)
	}
	return resp, reply
}

// patience is from when on an answer that did not come is as good as one that timed
// out; 0 where there is no timeout.
func patience(limits send.Timeouts) time.Duration {
	most := limits.Whole
	if h := limits.Header; h > 0 && (most == 0 || h < most) {
		most = h
	}
	return most * 2 / 3
}

func (p *Pass) ask(ctx context.Context, r *send.Request, limits send.Timeouts, how way) send.Reply {
	y := p.y
	set, era := y.set.Load(), y.era.Load()
	if p.bound {
		y.mu.Lock()
		p.used = true
		y.mu.Unlock()
		if p.probe {
			y.probeTakes(limits)
			era = y.era.Load()
		}
	}
	reply := set.ask(ctx, r, how, y.all.Now)
	y.observe(p, set, era, reply)
	return reply
}

// observe learns from a reply.
func (y *System) observe(p *Pass, set *settings, era int64, r send.Reply) {
	now := y.all.Now()
	if r.Response != nil {
		y.heed(set, r.Response, now)
	}
	failed, ok := verdict(r)
	slow := set.Breaker.Slow > 0 && r.Took > set.Breaker.Slow
	switch {
	case p.probe && !ok:
		y.mu.Lock()
		y.probing = false // who comes next has it
		y.changed()
		y.mu.Unlock()
	case p.probe:
		text := ""
		if failed {
			text = "the probe failed: " + why(r)
		} else if slow {
			text = "the probe took " + r.Took.Round(time.Millisecond).String()
		}
		y.probed(set, !failed && !slow, text)
	case ok && era == y.era.Load():
		sum := y.seen.add(now, failed, slow)
		if text, trip := trips(set.Breaker, sum); trip {
			if failed {
				text += "; the last: " + why(r)
			}
			y.trip(set, text)
		}
	}
}
