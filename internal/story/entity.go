package story

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// entityTeller is the story of an entity being written.
type entityTeller struct {
	teller
	*api.EntityStory
}

// WriteEntity writes all about an entity: what it is elsewhere, where it stands at
// each destination, its events in the order of their versions, and what to do now.
func WriteEntity(w io.Writer, s *api.EntityStory, o Options) error {
	t := &entityTeller{teller: teller{Options: o, out: bufio.NewWriter(w)}, EntityStory: s}
	t.about()
	t.positions()
	t.events()
	t.actions()
	t.todo()
	return t.out.Flush()
}

// about says which entity it is, in one line, and what it is in each system.
func (t *entityTeller) about() {
	t.line("%s  %s", t.Style.Bold(terminal.Clean(t.Entity)), t.summary())
	if t.Asked != "" {
		t.fact("asked for", t.Asked+", which was merged into this one")
	}
	if len(t.Aliases) > 0 {
		t.fact("also", strings.Join(t.Aliases, ", "))
	}
	for i, l := range t.Links {
		name := "records"
		if i > 0 {
			name = ""
		}
		t.line("  %s %s %s", t.Style.Dim(fmt.Sprintf("%-11s", name)), terminal.Clean(l.System+": "+l.Record),
			t.Style.Dim("by "+terminal.Clean(l.By)+", "+terminal.Ago(l.At, t.Now)))
	}
}

// summary is how the entity stands, in a few words.
func (t *entityTeller) summary() string {
	blocked, waiting := 0, 0
	for _, p := range t.Positions {
		waiting += p.Waiting
		if p.Block != nil {
			blocked++
		}
	}
	var parts []string
	if blocked > 0 {
		parts = append(parts, t.Style.Bad("held up at "+terminal.Count(blocked, "destination")))
	}
	if waiting > 0 {
		parts = append(parts, t.Style.Warn(terminal.Count(waiting, "delivery")+" waiting"))
	}
	for _, state := range []string{"dead", "held", "sending", "pending", "delivered", "superseded", "canceled"} {
		n := 0
		for _, e := range t.Data {
			for _, d := range e.Deliveries {
				if d.State == state {
					n++
				}
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, t.Style.State(state)))
		}
	}
	return strings.Join(parts, ", ")
}

// positions says whose turn it is at each destination, and what it has seen.
func (t *entityTeller) positions() {
	if len(t.Positions) == 0 {
		return
	}
	t.heading("Where it stands")
	for _, p := range t.Positions {
		t.line("  %s", terminal.Clean(p.Destination))
		if b := p.Block; b != nil {
			until := "until it is replayed or skipped"
			if !p.Until.IsZero() {
				until = "until " + terminal.When(p.Until, t.Now)
			}
			t.line("%s   %s", t.Style.Bad("!"), t.Style.Bad("held up by "+mark(b)+", which is dead, "+until))
		}
		if p.Head != nil {
			t.line("    its turn: %s", mark(p.Head))
		}
		if p.Waiting > 0 {
			t.line("    %s for their turn", wait(p.Waiting))
		}
		for _, c := range p.Clocks {
			of := ""
			if len(p.Clocks) > 1 && c.Source != "" {
				of = " of " + terminal.Clean(c.Source)
			}
			switch {
			case c.Delivered == nil && c.Newest != nil:
				t.line("    nothing%s delivered yet; newest: %s", of, mark(c.Newest))
			case c.Delivered == nil:
			case c.Newest == nil || c.Newest.Delivery == c.Delivered.Delivery:
				t.line("    newest%s, delivered: %s", of, mark(c.Delivered))
			default:
				t.line("    newest%s: %s; delivered up to: %s", of, mark(c.Newest), mark(c.Delivered))
			}
		}
	}
}

func wait(n int) string {
	if n == 1 {
		return "1 waits"
	}
	return fmt.Sprintf("%d wait", n)
}

func mark(m *api.Mark) string {
	if m.Version == "" {
		return m.Event + " (without a version)"
	}
	return "version " + terminal.Clean(terminal.Clip(m.Version, 60)) + ", " + m.Event
}

// events lists what happened in the order of versions, a line for each delivery.
func (t *entityTeller) events() {
	if len(t.Data) == 0 {
		return
	}
	heading := "Events, by version"
	if t.Next != "" {
		heading += fmt.Sprintf(" (of the newest, %d; more before)", len(t.Data))
	}
	t.heading(heading)
	tab := terminal.NewTable(t.Style, "version", "came", "at", "source", "type", "to", "state", "why", "event or delivery")
	for _, e := range t.Data {
		came := "#" + fmt.Sprint(e.Arrival)
		paint := t.Style.Dim
		if e.Behind {
			came += " late"
			paint = t.Style.Warn
		}
		row := []any{
			terminal.Clip(e.Version, 32), terminal.Cell{Text: came, Paint: paint}, terminal.Exact(e.ReceivedAt), e.Source, terminal.Clip(e.Type, 32),
		}
		if len(e.Deliveries) == 0 {
			tab.Row(append(row, "nowhere", tab.State(e.Routing), "", e.ID)...)
		}
		for _, d := range e.Deliveries {
			tab.Row(append(row, d.Destination, tab.State(d.State), terminal.Clip(t.why(&d), 90), d.ID)...)
			row = []any{" ", " ", " ", " ", " "}
		}
	}
	t.table(tab)
}

// why says why a delivery is as it is.
func (t *entityTeller) why(d *api.Delivery) string {
	var parts []string
	switch {
	case d.Late:
		parts = append(parts, "late")
	case d.Tied:
		parts = append(parts, "tied: another one has this version")
	}
	reason := d.Reason
	if d.State == "held" {
		switch d.Reason {
		case seawall.ReasonEarlier:
			reason = "waits for its turn"
		case seawall.ReasonSettle:
			reason = "an earlier version may still come"
		case seawall.ReasonPrerequisite:
			reason = "waits for " + strings.Join(d.After, ", ")
		case seawall.ReasonLate:
			reason = "a newer version was delivered before it came"
		}
	}
	if reason != "" {
		parts = append(parts, reason)
	}
	switch {
	case d.State == "delivered" && d.Attempts > 1:
		parts = append(parts, fmt.Sprintf("after %d tries", d.Attempts))
	case d.State == "held" && !d.Due.IsZero():
		parts = append(parts, "until "+terminal.Exact(d.Due))
	case d.State == "pending" && d.Due.After(t.Now):
		parts = append(parts, "next try "+terminal.Ago(d.Due, t.Now))
	}
	return strings.Join(parts, "; ")
}

func (t *teller) table(tab *terminal.Table) {
	var out strings.Builder
	_ = tab.Write(&out) // a strings.Builder takes everything
	for l := range strings.Lines(out.String()) {
		fmt.Fprint(t.out, "  "+strings.TrimRight(l, " \n")+"\n")
	}
}

// actions says what was done to the entity.
func (t *entityTeller) actions() {
	if len(t.Actions) == 0 {
		return
	}
	t.heading("What was done")
	for _, a := range t.Actions {
		t.line("  %s  %s", t.Style.Dim(terminal.Exact(a.At)), terminal.Clean(api.WordAction(a)))
	}
}

// todo says what there is to do, if anything.
func (t *entityTeller) todo() {
	var todo []string
	add := func(why, command string) { todo = append(todo, why+t.Style.Bold(t.command(command))) }
	for _, p := range t.Positions {
		if p.Block == nil {
			continue
		}
		name := terminal.Clean(p.Destination)
		add(fmt.Sprintf("held up at %s: why it died: ", name), "events show "+p.Block.Delivery)
		add("  when the cause is gone, send it again: ", "replay "+p.Block.Delivery)
		add("  or have the others go on without it: ", "deliveries skip "+p.Block.Delivery)
	}
	if t.Next != "" {
		add("what was before: ", "entities show "+terminal.Clean(t.Entity)+" --cursor "+t.Next)
	}
	if len(todo) == 0 {
		return
	}
	t.heading("What to do")
	for _, l := range todo {
		t.line("  %s", l)
	}
}
