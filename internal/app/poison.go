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
	if times := t.deaths(); t.poisonous(times) {
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

// deaths is how often in a row it was in flight when its node went away.
func (t *try) deaths() int {
	times := 1
	for i := len(t.past) - 1; i >= 0 && t.past[i].Step == seawall.Doubt; i-- {
		times++
	}
	return times
}

// poisonous tells whether so many deaths end it. A try of a delivery in order that
// is not its first is begun in any case, since another may have taken its place: of
// that one the first death was written down, too.
func (t *try) poisonous(deaths int) bool {
	d, before := &t.Delivery, len(t.past)+1-deaths
	if d.Order != seawall.Unordered && (before > 0 || !d.Since.Equal(t.Event.ReceivedAt)) {
		deaths--
	}
	return deaths >= poisonAfter
}
