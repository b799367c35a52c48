// Package story writes all that is known of an event for the person who wants
// to know what happened to it, at three in the morning if need be: what it is,
// what happened when, where each delivery stands, and what to do now. The
// gateway words the single happenings (package api); this room lays them out.
package story

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

// Options say how a story is written.
type Options struct {
	Now     time.Time
	Style   terminal.Style
	Headers bool                       // with all headers
	Bodies  bool                       // with whole bodies, as far as they are kept; else their beginning
	All     bool                       // with each route that is for other types, in place of their number
	Program string                     // how this program is called in commands that are shown; "": seawall
	Flags   string                     // put behind every command that is shown, for example "--config my.yaml"
	Gates   map[string]api.Destination // by name: who paused what; may be nil
}

// teller is a story being written.
type teller struct {
	Options
	*api.Story
	out *bufio.Writer
}

// Write writes the story of an event. Everything in it that strangers wrote is
// made safe to print.
func Write(w io.Writer, s *api.Story, o Options) error {
	t := &teller{Options: o, Story: s, out: bufio.NewWriter(w)}
	t.title()
	t.facts()
	t.request()
	t.timeline()
	t.deliveries()
	t.next()
	return t.out.Flush()
}

func (t *teller) line(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

func (t *teller) heading(text string) { t.line("\n%s", t.Style.Bold(text)) }

// title says in one line which event it is and how it stands.
func (t *teller) title() {
	e := &t.Event
	what := strings.TrimSpace(e.Source + " " + e.Type)
	t.line("%s  %s  %s", t.Style.Bold(e.ID), terminal.Clean(what), t.standing())
}

// standing sums up the deliveries: "delivered", "1 dead, 2 delivered".
func (t *teller) standing() string {
	if len(t.Deliveries) == 0 {
		return t.Style.State(t.Event.Routing)
	}
	counts := map[string]int{}
	for _, d := range t.Deliveries {
		counts[d.State]++
	}
	var parts []string
	for _, state := range []string{"dead", "held", "sending", "pending", "delivered", "superseded", "canceled"} {
		switch n := counts[state]; {
		case n == 0:
		case n == len(t.Deliveries):
			parts = append(parts, t.Style.State(state))
		default:
			parts = append(parts, strconv.Itoa(n)+" "+t.Style.State(state))
		}
	}
	if t.Event.Routing == "plan_error" {
		parts = append(parts, t.Style.State("plan_error"))
	}
	return strings.Join(parts, ", ")
}

// facts says what the event is.
func (t *teller) facts() {
	e := &t.Event
	id := e.SourceID
	switch {
	case e.Keyless:
		id = "none: never a duplicate"
	case e.Derived:
		id += " (derived from the content: the provider sends none)"
	}
	t.fact("source id", id)
	t.fact("entity", e.Entity)
	t.fact("version", e.Version)
	if !e.OccurredAt.IsZero() {
		t.fact("occurred", terminal.When(e.OccurredAt, t.Now))
	}
	t.fact("received", terminal.When(e.ReceivedAt, t.Now))
	t.fact("from", e.Remote)
	t.fact("verified", e.Proof)
	if t.Duplicates > 0 {
		t.fact("duplicates", fmt.Sprintf("%d: acknowledged, and not handled again", t.Duplicates))
	}
	if t.Conflicts > 0 {
		t.fact("conflicts", fmt.Sprintf("%d with another body under the same id: the first one stands", t.Conflicts))
	}
	if e.Cause != "" {
		t.fact("cause", e.Cause+", depth "+strconv.Itoa(e.Depth))
	}
	t.fact("revision", strconv.FormatInt(e.Revision, 10))
}

func (t *teller) fact(name, value string) {
	if value != "" {
		t.line("  %s %s", t.Style.Dim(fmt.Sprintf("%-11s", name)), terminal.Clean(value))
	}
}

// request shows what came: its body, and with Headers its headers.
func (t *teller) request() {
	e := &t.Event
	media := cmp.Or(e.Headers.Get("Content-Type"), "no content type")
	t.line("  %s %s, %s", t.Style.Dim(fmt.Sprintf("%-11s", "body")), terminal.Bytes(int64(e.BodySize)), terminal.Clean(media))
	if t.Headers {
		t.headers(e.Headers, "    ")
	}
	t.body(e.Body, false, "    ")
}

// timeline says what happened when, oldest first.
func (t *teller) timeline() {
	t.heading("What happened")
	day := ""
	for _, in := range t.shorter(t.Timeline) {
		at := in.At.UTC()
		if d := at.Format("2006-01-02"); d != day {
			day = d
			t.line("  %s", t.Style.Dim(day+" (UTC)"))
		}
		mark, text := " ", terminal.Clean(in.Text)
		if in.Bad {
			mark, text = t.Style.Bad("!"), t.Style.Bad(text)
		}
		t.line("%s %s %s %s%s", mark, at.Format("15:04:05.000"), t.since(in.At), t.kind(in), text)
		if a := t.attempt(in); a != nil {
			t.exchange(a, underText)
		}
	}
}

// since is the time from the event's arrival on.
func (t *teller) since(at time.Time) string {
	d := at.Sub(t.Event.ReceivedAt)
	text := "+" + terminal.Length(d)
	if d <= 0 {
		text = ""
	}
	return t.Style.Dim(fmt.Sprintf("%8s ", text))
}

// kind names what happened, with the number of the delivery where there are
// several to tell apart.
func (t *teller) kind(in api.Incident) string {
	name := in.Kind
	if in.Delivery != "" && len(t.Deliveries) > 1 {
		for i, d := range t.Deliveries {
			if d.ID == in.Delivery {
				name += " #" + strconv.Itoa(i+1)
			}
		}
	}
	return t.Style.Dim(fmt.Sprintf("%-11s ", name))
}

// attempt finds the attempt that a line of the timeline is about.
func (t *teller) attempt(in api.Incident) *api.Attempt {
	if in.Kind != "attempt" {
		return nil
	}
	for i := range t.Deliveries {
		if t.Deliveries[i].ID != in.Delivery {
			continue
		}
		for j := range t.Deliveries[i].Tries {
			if a := &t.Deliveries[i].Tries[j]; a.N == in.Attempt {
				return a
			}
		}
	}
	return nil
}
