package order

import (
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/rows"
)

// operator does what a person does about dead letters once nobody kills any more.
// Kills that come so close find some delivery in flight time after time, and it is
// taken for what they come from (G7). That is replayed, once; a dead letter of any
// other kind is a failure of the row.
type operator struct {
	*rows.Scene
	replayed map[string]bool
	skipped  int // of which only the newest counts, and which are not
	next     time.Time
}

// poisonAfter is how often in a row, as its attempts say, a delivery was in flight at
// a death before it may be taken for the cause.
const poisonAfter = 2

func (o *operator) tend() {
	o.Helper()
	if time.Now().Before(o.next) {
		return
	}
	o.next = time.Now().Add(time.Second)
	var page struct {
		Data []struct{ ID, Reason, Destination string }
	}
	o.Ask(0, "/deliveries?limit=100&state=dead", &page)
	for _, d := range page.Data {
		switch {
		case d.Reason != seawall.ReasonPoison:
			o.Abort("%s at %s is dead for %q", d.ID, d.Destination, d.Reason)
		case o.replayed[d.ID]:
			o.Abort("%s at %s is dead again, though nobody was killed", d.ID, d.Destination)
		}
		if n := o.deaths(d.ID); n < poisonAfter {
			o.Abort("%s at %s is dead for poison after %d deaths", d.ID, d.Destination, n)
		}
		switch status, said := o.does(d.ID, "replay"); {
		case status/100 == 2:
			o.replayed[d.ID] = true
		case status == http.StatusConflict && d.Destination == "newest":
			if status, said = o.does(d.ID, "skip"); status/100 != 2 {
				o.Abort("skip %s: %d: %s", d.ID, status, said)
			}
			o.skipped++
		default:
			o.Abort("replay %s: %d: %s", d.ID, status, said)
		}
	}
}

func (o *operator) does(id, what string) (int, []byte) {
	o.Helper()
	status, said, err := o.Do(http.MethodPost, "http://"+o.Fleet.Nodes[0].Admin+"/api/v1/deliveries/"+id+"/"+what, nil, "")
	if err != nil {
		o.Abort("%s %s: %v", what, id, err)
	}
	return status, said
}

// deaths counts the last attempts of a delivery that a node's death ended.
func (o *operator) deaths(id string) (n int) {
	o.Helper()
	var d struct{ Tries []struct{ Step string } }
	o.Ask(0, "/deliveries/"+id, &d)
	for i := len(d.Tries) - 1; i >= 0 && d.Tries[i].Step == seawall.Doubt.String(); i-- {
		n++
	}
	return n
}
