package story

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	underText = "                         " // of a timeline's line
	underN    = "       "                   // of an attempt on its own
	preview   = 160                         // characters of a body that is not asked for
)

// exchange shows, indented, what an attempt asked, what it sent and what came back.
func (t *teller) exchange(a *api.Attempt, indent string) {
	for i := range a.Asked {
		t.asked(&a.Asked[i], indent)
	}
	if a.Request.Method != "" {
		t.sent(&a.Request, sent(&a.Request), indent)
	}
	t.came(a.Response, indent)
}

// asked shows a request that an attempt made to learn something.
func (t *teller) asked(x *api.Exchange, indent string) {
	what := x.What + ": " + x.Request.Method + " " + x.Request.URL
	if x.Shared {
		what += ", made for another delivery too"
	}
	t.sent(&x.Request, what, indent)
	if x.Error != "" {
		t.line("%s  %s", indent, terminal.Clean(x.Error))
	}
	t.came(x.Response, indent)
}

func (t *teller) sent(q *seawall.Request, what, indent string) {
	t.line("%s%s %s", indent, t.Style.Dim("→"), terminal.Clean(what))
	if t.Headers {
		t.headers(q.Headers, indent+"  ")
	}
	if !q.Original {
		t.body(q.Body, int64(len(q.Body)) < q.BodySize, indent+"  ")
	}
}

func (t *teller) came(r *seawall.Response, indent string) {
	if r == nil {
		return
	}
	status := fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status))
	size := ""
	switch {
	case r.Truncated:
		size = ", the first " + terminal.Bytes(int64(len(r.Body)))
	case len(r.Body) > 0:
		size = ", " + terminal.Bytes(int64(len(r.Body)))
	}
	t.line("%s%s %s%s", indent, t.Style.Dim("←"), strings.TrimSpace(status), size)
	if t.Headers {
		t.headers(r.Headers, indent+"  ")
	} else if v := r.Headers.Get("Retry-After"); v != "" {
		t.line("%s  retry-after: %s", indent, terminal.Clean(v))
	}
	t.body(r.Body, r.Truncated, indent+"  ")
}

// sent sums up the request of an attempt.
func sent(q *seawall.Request) string {
	text := terminal.Bytes(q.BodySize)
	switch media := q.Headers.Get("Content-Type"); {
	case q.Original:
		text += ", the event's body as it came"
	case media != "":
		text += " " + media
	}
	if id := q.Headers.Get("Webhook-Id"); id != "" {
		text += ", webhook-id " + id
	}
	if q.Headers.Get("Webhook-Signature") != "" {
		text += ", signed"
	}
	return text
}

func (t *teller) headers(h http.Header, indent string) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			t.line("%s%s %s", indent, t.Style.Dim(strings.ToLower(terminal.Clean(name))+":"), terminal.Clean(v))
		}
	}
}

// body shows a body: whole where bodies are asked for, else its beginning on
// one line.
func (t *teller) body(b []byte, cut bool, indent string) {
	if len(b) == 0 {
		return
	}
	if binary(b) {
		t.line("%s%s", indent, t.Style.Dim("(not text)"))
		return
	}
	if !t.Bodies {
		// Clean works on all it is given: a preview needs the beginning only.
		text := strings.Join(strings.Fields(string(b[:min(len(b), 8*preview)])), " ")
		short := terminal.Clip(terminal.Clean(text), preview)
		if len(b) > 8*preview && !strings.HasSuffix(short, "…") {
			short += "…"
		}
		t.line("%s%s", indent, t.Style.Dim(short))
		return
	}
	for l := range strings.SplitSeq(strings.TrimRight(terminal.CleanLines(string(b)), "\n"), "\n") {
		t.line("%s%s", indent, l)
	}
	if cut {
		t.line("%s%s", indent, t.Style.Dim("(the rest was not kept)"))
	}
}

// binary tells whether a body is better not shown as text: more than one
// character in ten is not UTF-8, or is a zero byte.
func binary(b []byte) bool {
	b = b[:min(len(b), 4096)]
	bad, all := 0, 0
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == 0 || r == utf8.RuneError && size == 1 {
			bad++
		}
		all++
		b = b[size:]
	}
	return bad*10 > cmp.Or(all, 1)
}
