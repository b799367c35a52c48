package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// An order about many deliveries is carried out in chunks, each with its own
// record, for so long; whoever gave it then repeats it with a cursor.
const (
	manyChunk = 500
	manyTime  = 20 * time.Second
)

func (s *server) registerOrders(doc huma.API) {
	handle(s, doc, op("replay-deliveries", http.MethodPost, "/replays", "deliveries", "Send many deliveries again",
		"Those of ids, or those that filter selects: dead letters unless it names another state. With dry_run they are "+
			"only counted. Deliveries that are already waiting are left as they are, so repeating it adds none."), s.replayMany)
	handle(s, doc, op("cancel-deliveries", http.MethodPost, "/deliveries/cancel", "deliveries", "End many unfinished deliveries",
		"Those of ids, or those that filter selects. With dry_run they are only counted."), s.cancelMany)
}

// selection is what an order about many deliveries is about, and how far it is.
// It travels as the order's cursor, so that the same ones are meant throughout:
// Since and Until are times by then.
type selection struct {
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Stage  int       `json:"stage,omitempty"`  // of the states that are gone through
	Cursor string    `json:"cursor,omitempty"` // of the store, within the stage
	Due    time.Time `json:"due,omitzero"`     // when the next one falls due
}

func (p selection) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("api: cursor: " + err.Error()) // it is made of strings, numbers and times
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// choose reads which deliveries an order is about: exactly one of ids and
// filter, and nothing that selects everything unless that is said. ids is nil
// for a filter.
func (s *server) choose(ids []string, f *Filter, all bool, cursor string) ([]seawall.DeliveryID, store.DeliveryFilter, selection, error) {
	var at selection
	switch {
	case len(ids) > 0 && (f != nil || all):
		return nil, store.DeliveryFilter{}, at, seawall.Errorf(seawall.ErrInvalid, "ids and a filter exclude each other")
	case len(ids) > 0:
		out, err := parseIDs(ids)
		return out, store.DeliveryFilter{}, at, err
	}
	if f == nil {
		f = &Filter{}
	}
	if *f == (Filter{}) && !all {
		return nil, store.DeliveryFilter{}, at, seawall.Errorf(seawall.ErrInvalid, "the filter is empty: that would be every delivery").
			WithHint("name a state, source, type, destination, route, entity or time, or say all: true (on the command line: --all)")
	}
	filter, err := s.deliveryFilter(*f)
	if err != nil {
		return nil, filter, at, err
	}
	if cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || json.Unmarshal(b, &at) != nil {
			return nil, filter, at, seawall.Errorf(seawall.ErrInvalid, "cursor: this is not the next of such an order")
		}
		filter.Since, filter.Until = at.Since, at.Until
		return nil, filter, at, nil
	}
	if filter.Until.IsZero() {
		filter.Until = s.Now() // what arrives meanwhile is not meant
	}
	return nil, filter, selection{Since: filter.Since, Until: filter.Until}, nil
}

// parseIDs reads ids, each once.
func parseIDs(in []string) ([]seawall.DeliveryID, error) {
	out := make([]seawall.DeliveryID, 0, len(in))
	seen := make(map[seawall.DeliveryID]bool, len(in))
	for _, v := range in {
		id, err := seawall.ParseDeliveryID(v)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out, nil
}

// those are the deliveries of the ids of which ok holds. One that does not exist is
// an error, before anything is done.
func (s *server) those(ctx context.Context, ids []seawall.DeliveryID, ok func(*seawall.Delivery) bool) ([]seawall.Delivery, error) {
	var out []seawall.Delivery
	for _, id := range ids {
		d, err := s.Store.Delivery(ctx, id)
		if err != nil {
			return nil, about("delivery", id, err)
		}
		if ok(d) {
			out = append(out, *d)
		}
	}
	return out, nil
}

func idOf(d seawall.Delivery) seawall.DeliveryID { return d.ID }

// manyDetail is what the record of a chunk says.
func manyDetail(f *Filter, count int, more ...map[string]string) map[string]string {
	if f == nil {
		f = &Filter{}
	}
	out := detail("count", strconv.Itoa(count), "state", f.State, "source", f.Source, "type", f.Type,
		"destination", f.Destination, "route", f.Route, "entity", f.Entity, "since", f.Since, "until", f.Until)
	for _, m := range more {
		maps.Copy(out, m)
	}
	return out
}
