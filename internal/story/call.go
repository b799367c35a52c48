package story

import (
	"bufio"
	"io"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

// WriteCall writes one call with its attempts and its response.
func WriteCall(w io.Writer, c *api.Call, o Options) error {
	t := &teller{Options: o, Story: new(api.Story), out: bufio.NewWriter(w)}
	t.line("%s  %s  %s", t.Style.Bold(c.ID), terminal.Clean(c.System+"  "+c.Method+" "+c.Path), t.Style.State(c.State))
	t.fact("why", c.Reason)
	t.fact("key", c.Key)
	t.fact("by", c.By)
	t.fact("delivery", c.Delivery)
	t.fact("created", terminal.When(c.Created, t.Now))
	switch {
	case !c.Finished.IsZero():
		t.fact("ended", terminal.When(c.Finished, t.Now))
	case !c.Due.IsZero():
		t.fact("due", terminal.When(c.Due, t.Now))
	}
	t.heading("Request")
	t.line("  %s", terminal.Clean(c.Method+" "+c.Path))
	if t.Headers {
		t.headers(c.Headers, "  ")
	}
	t.body(c.Sent, false, "  ")
	if r := c.Response; r != nil {
		t.heading("Response")
		from := "from the system"
		if r.Fallback {
			from = "the configuration's own, since the system gave none"
		}
		t.line("  HTTP %d, %s, %s", r.Status, from, terminal.When(r.At, t.Now))
		if t.Headers {
			t.headers(r.Headers, "  ")
		}
		body := r.BodyBase64
		if body == nil {
			body = r.Body
		}
		t.body(body, false, "  ")
	}
	t.tries(c.Tries)
	switch c.State {
	case "held":
		t.heading("What to do")
		t.line("  nobody knows whether it took effect. Look at the system, then")
		t.line("  make it again, under the same key: %s", t.Style.Bold(t.command("replay "+c.Delivery)))
		t.line("  or let it be:                      %s", t.Style.Bold(t.command("calls cancel "+c.ID)))
	case "dead":
		t.heading("What to do")
		t.line("  make it again, under the same key: %s", t.Style.Bold(t.command("replay "+c.Delivery)))
	}
	return t.out.Flush()
}

// tries writes the attempts.
func (t *teller) tries(tries []api.Attempt) {
	if len(tries) > 0 {
		t.heading("Attempts")
	}
	for i := range tries {
		t.try(&tries[i])
	}
}
