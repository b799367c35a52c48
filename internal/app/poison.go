package app

import (
	"fmt"
	"time"

	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// poisonAfter is how often in a row a delivery may have been in flight when its
	// node went away. There was a death before that, of which nothing was written
	// down: it is what made the next node write. So the third in all ends it.
	poisonAfter = 2

	// apartFor keeps what may be poison from killing one process after another at
	// once; and a process that others kill within seconds never comes to it.
	apartFor = 5 * time.Second
)

// interrupted records that a node went away while it sent what is safe to repeat,
// and has it sent again, until it is poison: then it is dead, for a person to look
// at (G7). No fallback gets it, which it would kill as well.
func (p *path) interrupted(t *try) store.Settlement {
	v := settle.Verdict{Outcome: seawall.Unknown, Error: seawall.ReasonInterrupted}
	times := 1
	for i := len(t.past) - 1; i >= 0 && t.past[i].Step == seawall.Doubt; i-- {
		times++
	}
	if times >= poisonAfter {
		v.State, v.Reason = seawall.Dead, seawall.ReasonPoison
		v.Next = "dead: it may be what killed them"
	} else {
		wait := time.Duration(times) * apartFor
		v.State, v.Reason, v.Due = seawall.Pending, seawall.ReasonInterrupted, t.at.Add(wait)
		v.Next = fmt.Sprintf("retry in %s, apart from others like it", wait)
	}
	s := p.settlement(t, seawall.Doubt, v, nil, send.Reply{At: t.at})
	p.observe(t.Claimed, &s)
	return s
}
