package story

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// deliveries says where each stands.
func (t *teller) deliveries() {
	if len(t.Deliveries) == 0 {
		return
	}
	t.heading("Deliveries")
	tab := terminal.NewTable(t.Style, "#", "delivery", "destination", "state", "attempts", "why")
	for i, d := range t.Deliveries {
		why := d.Reason
		switch {
		case d.State == "delivered":
			why = "after " + terminal.Length(d.Finished.Sub(d.Created))
		case d.State == "pending" && d.Due.After(t.Now):
			why = strings.TrimPrefix(why+", next try "+terminal.Ago(d.Due, t.Now), ", ")
		case d.State == "pending" && !d.Due.IsZero():
			why = strings.TrimSuffix(t.overdue(&d.Delivery)+"; "+why, "; ")
		}
		tab.Row(fmt.Sprint(i+1), d.ID, d.Destination, tab.State(d.State), d.Attempts, terminal.Clip(why, 100))
	}
	t.table(tab)
}

// overdue says what a delivery that is due waits for.
func (t *teller) overdue(d *api.Delivery) string {
	if g := t.Gates[d.Destination]; g.Gate == "paused" || g.Gate == "disabled" {
		return "due since " + terminal.When(d.Due, t.Now) + ", and " + d.Destination + " is " + g.Gate
	}
	return "due since " + terminal.When(d.Due, t.Now) + "; being tried or waiting for a free slot"
}

// next says what there is to do, if anything.
func (t *teller) next() {
	var todo []string
	add := func(why, command string) {
		todo = append(todo, why+t.Style.Bold(t.command(command)))
	}
	switch t.Event.Routing {
	case "plan_error":
		add("a route could not decide: correct its expression, reload, and plan the event again: ", "events replan "+t.Event.ID)
	case "unmatched":
		add("no route wanted it: if one should have, correct it, reload, and plan the event again: ", "events replan "+t.Event.ID)
	}
	if t.Conflicts > 0 {
		add("see what else came under its id: ", "arrivals list --event "+t.Event.ID)
	}
	for _, d := range t.Deliveries {
		t.advise(&d, add)
	}
	if len(todo) == 0 {
		return
	}
	t.heading("What to do")
	for _, l := range todo {
		t.line("  %s", l)
	}
}

// advise says what there is to do about one delivery.
func (t *teller) advise(d *api.Traced, add func(why, command string)) {
	name := terminal.Clean(d.Destination)
	gate := t.Gates[d.Destination]
	switch d.State {
	case "dead":
		if d.Reason == seawall.ReasonUnresolved {
			add(fmt.Sprintf("for %s nobody knows which entity its record belongs to; to say so: ", name), "links import -")
		}
		add(fmt.Sprintf("dead at %s: when the cause is gone, send it again: ", name), "replay "+d.ID)
		if d.Order == seawall.Sequence.String() {
			add(fmt.Sprintf("what comes after it for %s waits until then; to have that go on without it: ", terminal.Clean(d.Entity)), "deliveries skip "+d.ID)
		}
	case "superseded":
		add(fmt.Sprintf("superseded for %s: to send it after all, as a late one: ", name), "replay --force "+d.ID)
	case "canceled":
		add(fmt.Sprintf("%s for %s: to send it after all: ", d.State, name), "replay "+d.ID)
	case "held":
		switch {
		case d.Reason == seawall.ReasonUnknown:
			add(fmt.Sprintf("nobody knows whether it took effect at %s: if it did not, send it again: ", name), "replay "+d.ID)
		case d.Reason == seawall.ReasonUnresolved:
			add(fmt.Sprintf("for %s its record's link is awaited; to say which entity it is: ", name), "links import -")
		case d.Reason == seawall.ReasonLate:
			add(fmt.Sprintf("a newer version was delivered to %s before it came: to send it all the same: ", name), "replay "+d.ID)
		case d.Reason == seawall.ReasonPrerequisite:
			add(fmt.Sprintf("%s is to get %s first: to send it without: ", name, terminal.Clean(strings.Join(d.After, ", "))), "replay "+d.ID)
		case strings.HasPrefix(d.Reason, seawall.ReasonRecord):
			add(fmt.Sprintf("%s: once that is put right, send it again: ", terminal.Clean(d.Reason)), "replay "+d.ID)
		}
		add(fmt.Sprintf("held at %s (%s): to give it up: ", name, terminal.Clean(d.Reason)), "deliveries skip "+d.ID)
	case "pending":
		switch gate.Gate {
		case "paused", "disabled":
			why := fmt.Sprintf("%s is %s", name, gate.Gate)
			if gate.GateBy != "" {
				why += " by " + terminal.Clean(gate.GateBy)
			}
			if gate.GateReason != "" {
				why += " (" + terminal.Clean(gate.GateReason) + ")"
			}
			add(why+", and the delivery waits: ", "destinations resume "+d.Destination)
		default:
			if d.Attempts > 0 && d.Due.After(t.Now) {
				add(fmt.Sprintf("%s is tried again %s by itself; to stop that: ", name, terminal.Ago(d.Due, t.Now)),
					"deliveries cancel "+d.ID)
			}
		}
	}
}

// command is a command of ours as it is typed.
func (t *teller) command(args string) string {
	return strings.TrimSpace(cmp.Or(t.Program, "seawall") + " " + args + " " + t.Flags)
}
