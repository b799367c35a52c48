package story

import (
	"fmt"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/seawall"
)

// OtherTypes are the routes that an event is none of the types of, when there
// are so many that one line for all of them says more; else nil. It is what
// most routes of a busy source are for most events.
func OtherTypes(ds []seawall.Decision) []string {
	var names []string
	for _, d := range ds {
		if d.Route != "" && !d.Matched && !d.Error && strings.HasPrefix(d.Why, "types: ") {
			names = append(names, d.Route)
		}
	}
	if len(names) < 2 {
		return nil
	}
	return names
}

// NoMatchByType says that these routes do not match. More than two are not
// named: all tells how to see them.
func NoMatchByType(names []string, all string) string {
	text := fmt.Sprintf("%d routes do not match by type", len(names))
	if len(names) <= 2 {
		return text + ": " + strings.Join(names, ", ")
	}
	return text + " (" + all + ")"
}

// shorter replaces the decisions of routes that are for other types by one line.
func (t *teller) shorter(in []api.Incident) []api.Incident {
	names := OtherTypes(t.Event.Decisions)
	if t.All || names == nil {
		return in
	}
	other := map[string]bool{}
	for _, n := range names {
		other[n] = true
	}
	var out []api.Incident
	said := false
	for _, i := range in {
		if i.Kind != "decision" || !other[i.Route] {
			out = append(out, i)
			continue
		}
		if !said {
			said = true
			i.Text = NoMatchByType(names, "--all names them")
			out = append(out, i)
		}
	}
	return out
}
