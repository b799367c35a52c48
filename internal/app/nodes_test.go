package app

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(pgcluster.Main(m)) }

// onPostgres is a configuration of a node on a database.
func onPostgres(t *testing.T, db, url, text string) *config.Config {
	c := configuration(t, t.TempDir(), url)
	c.Node.Store, c.Text = config.Store(db), []byte(text)
	return c
}

// Two nodes take events and deliver them: each once, by both, whichever took it;
// what one node is told the other does too.
func TestG4_TwoNodesOnOneStore(t *testing.T) {
	db := pgcluster.Shared(t)
	shop := newConsumer(t)
	node := func(text string, shards int) *running {
		c := onPostgres(t, db, shop.URL+"/hooks", text)
		c.Destinations[0].Shards = shards
		return run(t, c, func(o *Options) {
			o.Parse = func(text []byte) (*config.Config, error) {
				c := onPostgres(t, db, shop.URL+"/hooks", string(text))
				c.Destinations[0].Shards = 4
				return c, nil
			}
		})
	}
	one := node("first", 1)
	two := node("second", 4)
	eventually(t, "both run revision 2", func() bool { return one.path.now().revision == 2 && two.path.now().revision == 2 })

	eventually(t, "they share the lanes", func() bool { return one.lanes.Lanes() >= 2 && two.lanes.Lanes() >= 2 })

	const events = 200
	send := func(from, to int) {
		for n := from; n < to; n++ {
			if status := []*running{one, two}[n%2].send(n); status != http.StatusOK {
				t.Errorf("answered %d", status)
			}
		}
	}
	send(0, events)
	ids := map[string]int{}
	receive := func() {
		for range events {
			ids[shop.next(t).Header.Get("Webhook-Id")]++
		}
	}
	receive()
	by := map[string]int{}
	for id := range ids {
		d, err := seawall.ParseDeliveryID(id)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the attempt is recorded", func() bool {
			got, err := one.store.Attempts(t.Context(), d)
			if err == nil && len(got) == 1 {
				by[got[0].Node]++
			}
			return err == nil && len(got) == 1
		})
	}
	if by[one.node] == 0 || by[two.node] == 0 {
		t.Errorf("attempts by node: %v", by)
	}

	// One leaves while events come in: the other has its lanes.
	send(events, events*3/2)
	one.stop()
	one = two
	send(events*3/2, events*2)
	receive()
	if len(ids) != 2*events || len(shop.got) != 0 {
		t.Errorf("%d of %d delivered, %d more than once", len(ids), 2*events, len(shop.got))
	}
}

// A node whose clock is an hour behind plans and claims like the others: what is
// due for one is for all.
func TestG2_ANodeWithAWrongClockDeliversInTime(t *testing.T) {
	shop := newConsumer(t)
	for _, off := range []time.Duration{-time.Hour, time.Hour} {
		db := pgcluster.Shared(t)
		node := run(t, onPostgres(t, db, shop.URL+"/hooks", "text"), func(o *Options) {
			o.Now = func() time.Time { return time.Now().Add(off) }
		})
		const near = 5 * time.Second // the half of a slow answer is not known to be the way there
		began := time.Now()
		if status := node.send(1); status != http.StatusOK {
			t.Fatalf("answered %d", status)
		}
		id, err := seawall.ParseDeliveryID(shop.next(t).Header.Get("Webhook-Id"))
		if err != nil {
			t.Fatal(err)
		}
		d, err := node.store.Delivery(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if at := id.Event().Time(); at.Sub(began).Abs() > near || d.Created.Sub(began).Abs() > near {
			t.Errorf("with a clock that is %s off, the event is of %s and its delivery of %s; it was sent at %s", off, at, d.Created, began)
		}
		node.stop()
	}
}
