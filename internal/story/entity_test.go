package story

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

// entity is one with all that can happen to one.
func entity() *api.EntityStory {
	del := func(id, to, state, reason string) api.Delivery {
		return api.Delivery{ID: id, Destination: to, State: state, Reason: reason, Attempts: 1, Order: "sequence"}
	}
	late := del(second, "orders", "delivered", "")
	late.Late, late.Attempts = true, 3
	waits := del(first, "orders", "held", seawall.ReasonEarlier)
	settle := del(first, "crm", "held", seawall.ReasonSettle)
	settle.Due = at(2 * time.Minute)
	after := del(first, "mail", "held", seawall.ReasonPrerequisite)
	after.After = []string{"order.created"}
	event := func(version, source, kind string, arrival int, behind bool, ds ...api.Delivery) api.EntityEvent {
		return api.EntityEvent{Event: api.Event{
			ID: eventID, Source: source, Type: kind, Version: version, Routing: "routed", ReceivedAt: at(time.Duration(arrival) * time.Second),
		}, Arrival: arrival, Behind: behind, Deliveries: ds}
	}
	unmatched := event("", "shop", "orders/note", 4, false)
	unmatched.Routing = "unmatched"
	m := &api.Mark{Delivery: second, Event: eventID, Version: "3"}
	newest := &api.Mark{Delivery: first, Event: eventID, Version: "4"}
	return &api.EntityStory{
		Entity: "order/1001", Asked: "order/77", Aliases: []string{"order/77"},
		Links: []seawall.Link{
			{Entity: "order/1001", System: "crm", Record: "deal/55\x1b[2J", At: at(0), By: second}, {Entity: "order/1001", System: "stripe", Record: "pi_3", At: at(0), By: eventID},
		},
		Positions: []api.Position{
			{Destination: "crm", Head: newest, Clocks: []api.Clock{{Source: "stripe", Newest: newest}}},
			{Destination: "orders", Block: m, Until: at(time.Hour), Waiting: 1, Clocks: []api.Clock{
				{Source: "shop", Newest: m, Delivered: m}, {Source: "stripe", Newest: newest, Delivered: m},
			}},
		},
		Data: []api.EntityEvent{
			event("1", "stripe", "payment_intent.created", 3, true, late, del(second, "mail", "superseded", "by version 3, "+eventID)),
			event("3", "stripe", "payment_intent.succeeded", 1, false, del(second, "orders", "dead", "HTTP 500")),
			event("4", "stripe", "charge.refunded", 2, false, waits, settle, after),
			unmatched,
		},
		Next: "older",
		Actions: []api.Action{
			{At: at(0), By: "ann", What: "merge", On: "order/1001", Detail: map[string]string{"from": "order/77"}},
			{At: at(0), By: "ann", What: "link", On: "order/1001", Detail: map[string]string{"system": "crm", "record": "deal/55"}},
		},
	}
}

func TestG9_TheStoryOfAnEntity(t *testing.T) {
	const path = "testdata/entity.txt"
	var out bytes.Buffer
	if err := WriteEntity(&out, entity(), Options{Now: at(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := WriteEntity(&out, entity(), Options{Now: at(time.Minute), Style: terminal.Style{Color: true}}); err != nil || !strings.Contains(out.String(), "\x1b[31mheld up at 1 destination\x1b[0m") {
		t.Errorf("in colour: %v\n%s", err, out.String())
	}
	if strings.Contains(out.String(), "\x1b[2J") {
		t.Error("a stranger clears the screen")
	}
}
