package api_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// register is a store whose links, positions and merges the test gives.
type register struct {
	store.Store
	links     []seawall.Link
	positions map[string][]store.Position
	entities  []store.EntityState
	filter    store.EntityFilter
	merges    []string
}

func (r *register) LinksOf(_ ctxt, entity string) (out []seawall.Link, _ error) {
	for _, l := range r.links {
		if l.Entity == entity {
			out = append(out, l)
		}
	}
	return out, nil
}

func (r *register) EntityOf(_ ctxt, name, system, record string) (string, error) {
	for _, l := range r.links {
		if strings.HasPrefix(l.Entity, name+"/") && l.System == system && l.Record == record {
			return l.Entity, nil
		}
	}
	return "", nil
}

func (r *register) ListLinks(_ ctxt, f store.LinkFilter, p store.Page) (l store.List[seawall.Link], _ error) {
	from := 0
	_, _ = fmt.Sscan(p.Cursor, &from)
	for i := from; i < len(r.links); i++ {
		if len(l.Items) == 2 { // whatever is asked for
			l.Next = fmt.Sprint(i)
			break
		}
		if at := r.links[i]; (f.System == "" || f.System == at.System) && (f.Entity == "" || f.Entity == at.Entity) &&
			(f.Record == "" || f.Record == at.Record) && (f.Name == "" || strings.HasPrefix(at.Entity, f.Name+"/")) {
			l.Items = append(l.Items, at)
		}
	}
	return l, nil
}

func (r *register) PutLinks(c ctxt, ls []seawall.Link, a seawall.Action) error {
	for _, l := range ls {
		name, _ := seawall.EntityName(l.Entity)
		if owner, _ := r.EntityOf(c, name, l.System, l.Record); owner != "" && owner != l.Entity {
			return seawall.Errorf(seawall.ErrConflict, "%s is %s", l.Record, owner)
		}
	}
	for _, l := range ls {
		r.links = slices.DeleteFunc(r.links, func(o seawall.Link) bool { return o.Entity == l.Entity && o.System == l.System })
		r.links = append(r.links, l)
	}
	return r.Record(c, a)
}

func (r *register) Unlink(c ctxt, entity, system string, a seawall.Action) error {
	n := len(r.links)
	if r.links = slices.DeleteFunc(r.links, func(l seawall.Link) bool { return l.Entity == entity && l.System == system }); len(r.links) == n {
		return seawall.Errorf(seawall.ErrNotFound, "%s has no link to %s", entity, system)
	}
	return r.Record(c, a)
}

func (r *register) Merge(c ctxt, from, into string, a seawall.Action) error {
	if from == into {
		return seawall.Errorf(seawall.ErrConflict, "%s is itself", from)
	}
	r.merges = append(r.merges, from+" "+into)
	return r.Record(c, a)
}

func (r *register) Positions(_ ctxt, entity string) ([]store.Position, error) {
	return r.positions[entity], nil
}

func (r *register) ListEntities(_ ctxt, f store.EntityFilter, _ store.Page) (store.List[store.EntityState], error) {
	r.filter = f
	return store.List[store.EntityState]{Items: r.entities, Next: "on"}, nil
}

func newRegister(t *testing.T) (*bench, *register) {
	r := &register{positions: map[string][]store.Position{}}
	b := newBench(t, func(o *api.Options) { r.Store = o.Store; o.Store = r })
	b.gateway.config.Systems = []*config.System{{Name: "crm"}}
	b.gateway.config.Entities = []*config.Entity{{Name: "order", Claims: []config.Claim{{Source: "stripe", System: "stripe"}, {Source: "shop", System: "shop"}}}}
	return b, r
}

// happens accepts an event of an entity, with a delivery to each destination.
func (b *bench) happens(source, entity, version string, to ...string) *seawall.Event {
	b.Helper()
	ev := &seawall.Event{
		ID: seawall.NewEventID(b.clock(), b.random), Source: source, Type: "t." + version, Entity: entity, Version: version,
		ReceivedAt: b.clock(), Body: []byte("{}"), Revision: 1,
	}
	ev.SourceID = ev.ID.String()
	acc := store.Acceptance{Event: ev, Expires: b.clock().Add(time.Hour)}
	for i, d := range to {
		acc.Deliveries = append(acc.Deliveries, seawall.Delivery{
			ID: ev.ID.Delivery(i + 1), Route: d, Destination: d, System: d, Source: source, Type: ev.Type, Entity: entity,
			Due: b.clock(), Since: b.clock(), Created: b.clock(), Revision: 1,
		})
	}
	_, err := b.store.Accept(b.Context(), []store.Acceptance{acc})
	b.must(err)
	b.advance(time.Second)
	return ev
}

func versions(s *api.EntityStory) (out []string) {
	for _, e := range s.Data {
		v := fmt.Sprintf("%s %s #%d", e.Source, e.Version, e.Arrival)
		if e.Behind {
			v += " behind"
		}
		out = append(out, v)
	}
	return out
}

func TestG9_AnEntityShowsItsEventsInTheOrderOfTheirVersions(t *testing.T) {
	b, r := newRegister(t)
	b.happens("stripe", "order/a/b", "2", "orders", "mail")
	late := b.happens("stripe", "order/a/b", "10", "orders")
	b.happens("shop", "order/a/b", "2026-11-24T10:00:00Z")
	b.happens("stripe", "order/a/b", "9", "orders")
	b.happens("shop", "order/a/b", "")
	b.happens("stripe", "order/a", "1", "orders")
	b.happens("stripe", "order/b", "7")
	b.gateway.aliases = map[string]string{"order/b": "order/a/b"}
	link := seawall.Link{Entity: "order/a/b", System: "crm", Record: "deal/55", At: epoch, By: "ann"}
	r.links = []seawall.Link{link}
	mark := order.Mark{Key: 3, Delivery: late.ID.Delivery(1), Rank: []byte("stripe\x00x"), Version: "10"}
	r.positions["order/a/b"] = []store.Position{{Destination: "orders", At: epoch, Position: order.Position{
		Block: mark, Until: epoch.Add(time.Hour), Waiting: 1, Clocks: []order.Clock{{Name: "stripe", Top: mark}}, Done: []string{"t.*"},
	}}}
	b.must(b.store.Record(t.Context(), seawall.Action{At: epoch, By: "ann", What: "merge", On: "order/a/b", Detail: map[string]string{"from": "order/b"}}))

	for _, asked := range []string{"order/a/b", "order/b"} {
		got, err := b.client("").Entity(t.Context(), asked, api.Paging{})
		b.must(err)
		want := []string{"stripe 2 #1", "stripe 7 #6 behind", "shop 2026-11-24T10:00:00Z #3", "stripe 9 #4 behind", "shop  #5", "stripe 10 #2"}
		if asked != "order/a/b" && got.Asked != asked || got.Entity != "order/a/b" || !reflect.DeepEqual(got.Aliases, []string{"order/b"}) || got.Next != "" {
			t.Errorf("%s: %+v", asked, got)
		}
		// An event without a version has no place but where it came.
		if v := versions(got); !reflect.DeepEqual(v, want) {
			t.Errorf("%s: in order\n%q, want\n%q", asked, v, want)
		}
		if ds := got.Data[0].Deliveries; len(ds) != 2 || ds[1].Destination != "mail" || ds[0].State != "pending" {
			t.Errorf("deliveries %+v", ds)
		}
		if !reflect.DeepEqual(got.Links, r.links) || len(got.Actions) != 1 || got.Actions[0].What != "merge" {
			t.Errorf("%+v, %+v", got.Links, got.Actions)
		}
		m := &api.Mark{Delivery: late.ID.Delivery(1).String(), Event: late.ID.String(), Version: "10"}
		if p := got.Positions; !reflect.DeepEqual(p, []api.Position{{
			Destination: "orders", Waiting: 1, Block: m, Until: epoch.Add(time.Hour), At: epoch,
			Clocks: []api.Clock{{Source: "stripe", Newest: m}}, Done: []string{"t.*"},
		}}) {
			t.Errorf("positions %+v", p)
		}
	}
	b.refused(http.StatusNotFound, "GET", "/api/v1/entities/order/none", "")
	if got := get[api.EntityStory](b, "/api/v1/entities/order/a"); len(got.Data) != 1 {
		t.Errorf("%q", versions(&got))
	}
}

// What a delivery was planned with counts more than what a version looks like.
func TestG9_AnEntityIsOrderedByTheRanksOfItsDeliveries(t *testing.T) {
	b, r := newRegister(t)
	ids := map[seawall.EventID][]byte{}
	ids[b.happens("stripe", "order/1", "ten").ID] = []byte("stripe\x00\x02")
	ids[b.happens("stripe", "order/1", "nine").ID] = []byte("stripe\x00\x01")
	r.Store = ranked{r.Store, ids}
	got := get[api.EntityStory](b, "/api/v1/entities/order/1")
	if v := versions(&got); !reflect.DeepEqual(v, []string{"stripe nine #2 behind", "stripe ten #1"}) {
		t.Errorf("in order %q", v)
	}
}

// ranked gives each event a delivery of a rank.
type ranked struct {
	store.Store
	ranks map[seawall.EventID][]byte
}

func (r ranked) DeliveriesOf(_ ctxt, id seawall.EventID) ([]seawall.Delivery, error) {
	return []seawall.Delivery{{ID: id.Delivery(1), Rank: r.ranks[id], State: seawall.Held, Due: order.Never, Order: seawall.Latest, Late: true}}, nil
}

func TestG8_AnEntityIsShownInPages(t *testing.T) {
	b, _ := newRegister(t)
	for v := range 120 {
		b.happens("stripe", "order/1", fmt.Sprint(v))
	}
	b.happens("stripe", "order/2", "0")
	b.gateway.aliases = map[string]string{"order/2": "order/1"}
	var pages []int
	seen := map[string]bool{}
	for p := (api.Paging{}); ; {
		got, err := b.client("").Entity(t.Context(), "order/1", p)
		b.must(err)
		for _, e := range got.Data {
			seen[e.ID] = true
		}
		pages = append(pages, len(got.Data))
		if p.Cursor = got.Next; p.Cursor == "" {
			break
		}
	}
	if len(seen) != 121 || !reflect.DeepEqual(pages, []int{51, 50, 20}) {
		t.Errorf("%d events in pages of %v", len(seen), pages)
	}
	if got := get[api.EntityStory](b, "/api/v1/entities/order/1?limit=1000"); len(got.Data) != 121 || got.Next != "" {
		t.Errorf("%d events", len(got.Data))
	}
}

func TestListEntities(t *testing.T) {
	b, r := newRegister(t)
	r.entities = []store.EntityState{{Entity: "order/1", Waiting: 3, Blocked: 1, At: epoch}}
	got, err := b.client("").Entities(t.Context(), api.EntityQuery{Name: "order", Waiting: true, Destination: "crm"})
	b.must(err)
	if !reflect.DeepEqual(got.Data, []api.Entity{{Entity: "order/1", Waiting: 3, Blocked: 1, At: epoch}}) || got.Next != "on" {
		t.Errorf("%+v", got)
	}
	if r.filter != (store.EntityFilter{Name: "order", Waiting: true, Destination: "crm"}) {
		t.Errorf("asked for %+v", r.filter)
	}
}

func TestMerge(t *testing.T) {
	b, r := newRegister(t)
	r.links = []seawall.Link{{Entity: "order/1", System: "crm", Record: "5", At: epoch, By: "ann"}}
	got, err := b.client("").Merge(t.Context(), "order/a/../b", "order/1")
	b.must(err)
	if got.From != "order/a/../b" || got.Into != "order/1" || len(got.Links) != 1 || b.gateway.merged != 1 || !reflect.DeepEqual(r.merges, []string{"order/a/../b order/1"}) {
		t.Errorf("%+v, told %d times, %q", got, b.gateway.merged, r.merges)
	}
	if acts := get[api.Page[api.Action]](b, "/api/v1/actions?on=order/1"); len(acts.Data) != 1 || acts.Data[0].What != "merge" || acts.Data[0].By != "local" || acts.Data[0].Detail["from"] != "order/a/../b" {
		t.Errorf("recorded %+v", acts.Data)
	}
	for into, status := range map[string]int{"user/1": 422, "order/": 422, "order": 422, "": 422, "order/2": 409} {
		b.refused(status, "POST", "/api/v1/entities/order/2/merge", fmt.Sprintf(`{"into":%q}`, into))
	}
	if len(r.merges) != 1 {
		t.Errorf("merged %q", r.merges)
	}
}

func TestLinks(t *testing.T) {
	b, r := newRegister(t)
	c := b.client("")
	write := func(dry bool, ls ...api.LinkItem) *api.LinksWritten {
		t.Helper()
		got, err := c.PutLinks(t.Context(), ls, dry)
		b.must(err)
		return got
	}
	one, two := api.LinkItem{Entity: "order/1", System: "crm", Record: "55"}, api.LinkItem{Entity: "order/a/b", System: "crm", Record: "56"}
	if got := write(true, one, two); !reflect.DeepEqual(*got, api.LinksWritten{DryRun: true, Links: 2, New: 2}) || len(r.links) != 0 || b.gateway.learned != 0 {
		t.Errorf("dry run: %+v, %+v", got, r.links)
	}
	if got := write(false, one, two, api.LinkItem{Entity: "order/1", System: "strpe", Record: "x"}); got.Links != 3 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], `"strpe"`) {
		t.Errorf("%+v", got)
	}
	if want := (seawall.Link{Entity: "order/1", System: "crm", Record: "55", At: epoch, By: "local"}); r.links[0] != want || b.gateway.learned != 1 {
		t.Errorf("wrote %+v, told %d times", r.links, b.gateway.learned)
	}
	one.Record = "57"
	if got := write(true, one, two, api.LinkItem{Entity: "order/3", System: "crm", Record: "58"}); got.New != 1 || got.Changed != 1 || got.Same != 1 {
		t.Errorf("dry run: %+v", got)
	}
	var all []string
	for l, err := range c.AllLinks(t.Context(), api.LinkQuery{Name: "order", System: "crm"}) {
		b.must(err)
		all = append(all, l.Entity+" "+l.Record)
	}
	if !reflect.DeepEqual(all, []string{"order/1 55", "order/a/b 56"}) {
		t.Errorf("lists %q", all)
	}
	b.gateway.aliases = map[string]string{"order/b": "order/a/b"} // goes by its new name
	b.must(c.Unlink(t.Context(), "order/b", "crm"))
	b.refused(404, "DELETE", "/api/v1/links/order%2Fa%2Fb/crm", "")
	acts := get[api.Page[api.Action]](b, "/api/v1/actions")
	var did []string
	for _, a := range acts.Data {
		did = append(did, fmt.Sprintf("%s %s %v", a.What, a.On, a.Detail))
	}
	if want := []string{"unlink order/a/b map[system:crm]", "link  map[count:3]"}; !slices.Equal(did, want) {
		t.Errorf("recorded %q, want %q", did, want)
	}
	if got := write(false); got.Links != 0 {
		t.Errorf("nothing: %+v", got)
	}
}

// A body of one object a line will do, and one link is recorded as what it is.
func TestLinks_Lines(t *testing.T) {
	b, r := newRegister(t)
	lines := func(req *http.Request) { req.Header.Set("Content-Type", "application/x-ndjson") }
	body := `{"entity":"order/1","system":"crm","record":"55"}` + "\n"
	if code, out := b.do("POST", "/api/v1/links", body, lines); code != 200 || len(r.links) != 1 {
		t.Fatalf("%d %s", code, out)
	}
	if code, _ := b.do("POST", "/api/v1/tokens", body, lines); code != http.StatusUnsupportedMediaType {
		t.Errorf("lines elsewhere: %d", code)
	}
	if acts := get[api.Page[api.Action]](b, "/api/v1/actions?on=order/1"); len(acts.Data) != 1 || acts.Data[0].Detail["record"] != "55" {
		t.Errorf("recorded %+v", acts.Data)
	}
}

// All that is wrong is told, and nothing is written.
func TestLinks_Refused(t *testing.T) {
	b, r := newRegister(t)
	r.links = []seawall.Link{{Entity: "order/9", System: "crm", Record: "55"}, {Entity: "user/9", System: "crm", Record: "56"}}
	good := `{"entity":"order/1","system":"crm","record":"56"}`
	for name, c := range map[string]struct {
		body   string
		status int
		errors string
	}{
		"conflict":   {`[` + good + `,{"entity":"order/2","system":"crm","record":"55"}]`, 409, "item 2: 55 of crm is order/9"},
		"no entity":  {`[` + good + `,{"entity":"1001","system":"crm","record":"5"},{"entity":"order/","system":"crm","record":"5"}]`, 422, `item 2: "1001" is no entity; item 3: "order/" is no entity`},
		"no system":  {`[{"entity":"order/1","record":"5"}]`, 422, "item 1: no system"},
		"no record":  {good + `{"entity":"order/2","system":"crm","record":""}`, 422, "item 2: no record"},
		"long":       {`[{"entity":"order/1","system":"crm","record":"` + strings.Repeat("x", 257) + `"}]`, 422, "item 1: record: longer than 256 bytes"},
		"control":    {`[{"entity":"order/1","system":"crm","record":"a\u0000"}]`, 422, `item 1: record: "a\x00" holds control characters, or is not UTF-8`},
		"twice":      {`[` + good + `,{"entity":"order/1","system":"crm","record":"57"}]`, 422, "item 2: order/1 has 56 in crm already, by item 1"},
		"two owners": {`[` + good + `,{"entity":"order/2","system":"crm","record":"56"}]`, 422, "item 2: 56 of crm is order/1 already, by item 1"},
		"misspelt":   {`[{"entity":"order/1","sytem":"crm","record":"5"}]`, 422, `item 1: json: unknown field "sytem"`},
		"cut off":    {`[` + good, 422, "item 2: unexpected end of JSON input"},
		"not a list": {`"x"`, 422, "item 1: json: cannot unmarshal string into Go value of type api.LinkItem"},
	} {
		p := b.refused(c.status, "POST", "/api/v1/links", c.body)
		var told []string
		for _, e := range p.Errors {
			told = append(told, e.Location+": "+e.Message)
		}
		if got := strings.Join(told, "; "); got != c.errors {
			t.Errorf("%s: %q, want %q", name, got, c.errors)
		}
	}
	if len(r.links) != 2 || b.gateway.learned != 0 {
		t.Errorf("wrote %+v", r.links)
	}
	var many strings.Builder
	for range 30 {
		many.WriteString(`{"entity":"x","system":"crm","record":"5"}`)
	}
	if p := b.refused(422, "POST", "/api/v1/links", many.String()); len(p.Errors) != 20 || !strings.Contains(p.Detail, "of 30 items the first 20") {
		t.Errorf("%d errors: %s", len(p.Errors), p.Detail)
	}
	if p := b.refused(422, "POST", "/api/v1/links", strings.Repeat(good, 10_001)); !strings.Contains(p.Detail, "more than 10000") {
		t.Errorf("%s", p.Detail)
	}
}

// Whoever may only read changes neither links nor entities.
func TestLinks_NeedAdmin(t *testing.T) {
	b, r := newRegister(t)
	admin := post[api.Token](b, "/api/v1/tokens", api.TokenRequest{Name: "ann", Scopes: []string{"admin"}})
	token := func(secret string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
	}
	reader := post[api.Token](b, "/api/v1/tokens", api.TokenRequest{Name: "eve", Scopes: []string{"read"}}, token(admin.Secret))
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/v1/links", `[]`}, {"DELETE", "/api/v1/links/order%2F1/crm", ""}, {"POST", "/api/v1/entities/order/1/merge", `{"into":"order/2"}`},
	} {
		b.refused(http.StatusForbidden, c.method, c.path, c.body, token(reader.Secret))
		b.refused(http.StatusUnauthorized, c.method, c.path, c.body)
	}
	get[api.Page[seawall.Link]](b, "/api/v1/links", token(reader.Secret))
	if len(r.links)+len(r.merges) != 0 {
		t.Errorf("%+v, %+v", r.links, r.merges)
	}
}
