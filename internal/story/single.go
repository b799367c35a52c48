package story

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

// WriteDelivery writes one delivery with its attempts.
func WriteDelivery(w io.Writer, d *api.Traced, o Options) error {
	t := &teller{Options: o, Story: new(api.Story), out: bufio.NewWriter(w)}
	t.line("%s  %s  %s", t.Style.Bold(d.ID), terminal.Clean(d.Source+" to "+d.Destination), t.Style.State(d.State))
	t.fact("why", d.Reason)
	t.fact("event", d.Event)
	t.fact("type", d.Type)
	t.fact("entity", d.Entity)
	t.fact("route", fmt.Sprintf("%s, planned under revision %d", d.Route, d.Revision))
	if d.Pinned {
		t.fact("", "shaped by that revision, not by the running one")
	}
	t.fact("created", terminal.When(d.Created, t.Now))
	switch {
	case !d.Finished.IsZero():
		t.fact("ended", terminal.When(d.Finished, t.Now))
	case d.State == "pending" && !d.Due.IsZero() && !d.Due.After(t.Now):
		t.fact("waiting", t.overdue(&d.Delivery))
	case !d.Due.IsZero():
		t.fact("due", terminal.When(d.Due, t.Now))
	}
	t.tries(d.Tries)
	t.Deliveries = []api.Traced{*d}
	t.next()
	return t.out.Flush()
}

// try writes one attempt.
func (t *teller) try(a *api.Attempt) {
	t.line("  %d  %s  %s after %s", a.N, terminal.When(a.At, t.Now), t.Style.State(a.Outcome),
		terminal.Length(time.Duration(a.TookMS*float64(time.Millisecond))))
	text := a.Error
	if next := a.Decided(); next != "" {
		text = strings.TrimPrefix(text+"; "+next, "; ")
	}
	if text != "" {
		t.line("%s%s", underN, terminal.Clean(text))
	}
	made := fmt.Sprintf("by revision %d", a.Revision)
	if a.Request.Method != "" {
		made = a.Request.Method + " " + a.Request.URL + ", " + made
	}
	t.line("%s%s", underN, terminal.Clean(made))
	t.exchange(a, underN)
}

// WriteArrival writes one arrival with all that is kept of it.
func WriteArrival(w io.Writer, a *api.Arrival, o Options) error {
	t := &teller{Options: o, Story: new(api.Story), out: bufio.NewWriter(w)}
	t.line("%s  %s  %s", t.Style.Bold(fmt.Sprintf("arrival %d", a.ID)), terminal.Clean(a.Source), t.Style.State(a.Verdict))
	t.fact("reason", a.Reason)
	t.fact("detail", a.Detail)
	t.fact("at", terminal.When(a.At, t.Now))
	t.fact("from", a.Remote)
	if a.Status != 0 {
		t.fact("answered", fmt.Sprint(a.Status))
	}
	t.fact("event", a.Event)
	t.fact("source id", a.SourceID)
	t.fact("verified", a.Proof)
	t.heading("Request")
	t.line("  %s", terminal.Clean(a.Method+" "+a.URL))
	t.headers(a.Headers, "  ")
	size := terminal.Bytes(a.BodySize)
	if a.BodySize < 0 {
		size = "cut off by the sender"
	}
	t.line("  %s %s", t.Style.Dim("body:"), size)
	t.body(a.Body, a.BodySize > int64(len(a.Body)), "  ")
	if a.Verdict == "rejected" {
		t.heading("What to do")
		t.line("  why it does not verify, in plain words: %s", t.Style.Bold(t.command(fmt.Sprintf("verify --arrival %d", a.ID))))
	}
	return t.out.Flush()
}
