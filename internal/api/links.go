package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	ndjson = "application/x-ndjson"

	linksMost  = 10_000   // in one request, which writes all of them or none
	linksBytes = 16 << 20 // likewise
	linksTime  = 30 * time.Second
	faultsMost = 20 // that are told of one request
)

func (s *server) registerLinks(doc huma.API) {
	const tag = "links"
	handle(s, doc, op("list-links", http.MethodGet, "/links", tag, "List links",
		"Which record an entity is in each system."), s.listLinks)
	put := op("put-links", http.MethodPost, "/links", tag, "Write links",
		"All of them or none, each in place of the one that its entity has to that system. A record that is another entity's is "+
			"a conflict; the errors then tell which. The body is a JSON array, or one JSON object a line.")
	put.MaxBodyBytes, put.BodyReadTimeout, put.SkipValidateBody = linksBytes, linksTime, true
	items := &huma.Schema{Type: huma.TypeArray, MaxItems: new(linksMost),
		Items: doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[LinkItem](), true, "LinkItem")}
	put.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: items},
		ndjson:             {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	handle(s, doc, put, s.putLinks)
	handle(s, doc, op("delete-link", http.MethodDelete, "/links/{entity}/{system}", tag, "Remove a link",
		"What was sent is not undone: the next event finds or makes a record anew."), s.deleteLink)
}

func (s *server) listLinks(ctx context.Context, in *LinkQuery) (*answer[Page[seawall.Link]], error) {
	f := store.LinkFilter{Name: in.Name, Entity: in.Entity, System: in.System, Record: in.Record}
	l, err := s.Store.ListLinks(ctx, f, in.page())
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return page(l, same), nil
}

func (s *server) deleteLink(ctx context.Context, in *struct {
	Entity string `path:"entity" maxLength:"500" example:"order%2F1001" doc:"Escaped: a slash in it is %2F."`
	System string `path:"system" maxLength:"256"`
}) (*struct{}, error) {
	entity := s.Gateway.Alias(in.Entity)
	a := s.action(ctx, "unlink", entity, map[string]string{"system": in.System})
	if err := s.Store.Unlink(ctx, entity, in.System, a); err != nil {
		return nil, about("unlink", entity, err)
	}
	return nil, nil
}

func (s *server) putLinks(ctx context.Context, in *struct {
	DryRun  bool `query:"dry_run" doc:"Check only."`
	RawBody []byte
}) (*answer[LinksWritten], error) {
	ls, err := s.parseLinks(ctx, in.RawBody)
	if err != nil {
		return nil, err
	}
	out := LinksWritten{DryRun: in.DryRun, Links: len(ls), Warnings: s.unknownSystems(ls)}
	if in.DryRun {
		return &answer[LinksWritten]{out}, s.compareLinks(ctx, ls, &out)
	}
	if len(ls) == 0 {
		return &answer[LinksWritten]{out}, nil
	}
	a := s.action(ctx, "link", "", map[string]string{"count": strconv.Itoa(len(ls))})
	if len(ls) == 1 {
		a.On, a.Detail = ls[0].Entity, map[string]string{"system": ls[0].System, "record": ls[0].Record}
	}
	err = s.Store.PutLinks(ctx, ls, a)
	if errors.Is(err, seawall.ErrConflict) {
		// The store names the first; whoever mends a file wants to know of all.
		if all := s.compareLinks(ctx, ls, new(LinksWritten)); all != nil {
			err = all
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write links: %w", err)
	}
	s.Gateway.Learned()
	return &answer[LinksWritten]{out}, nil
}

// faults are what is wrong with the items of a request.
type faults struct {
	kind error
	list []problem.Fault
	more int
}

func (f *faults) add(item int, format string, args ...any) {
	if len(f.list) == faultsMost {
		f.more++
		return
	}
	f.list = append(f.list, problem.Fault{Location: "item " + strconv.Itoa(item+1), Message: fmt.Sprintf(format, args...)})
}

// err is nil if there are none.
func (f *faults) err(what string) error {
	if len(f.list) == 0 {
		return nil
	}
	status := http.StatusUnprocessableEntity
	if f.kind == seawall.ErrConflict {
		status = http.StatusConflict
	}
	p := problem.New(status, what)
	if p.Errors = f.list; f.more > 0 {
		p.Detail += fmt.Sprintf("; of %d items the first %d are named", len(f.list)+f.more, len(f.list))
	}
	return p
}

// parseLinks reads links: a JSON array, or one object after the other.
func (s *server) parseLinks(ctx context.Context, body []byte) ([]seawall.Link, error) {
	var out []seawall.Link
	var bad faults
	type place struct{ entity, system string }
	first, owner := map[place]int{}, map[[3]string]int{}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if _, err := d.Token(); err != nil {
			return nil, badLinks(err)
		}
	}
	for i := 0; d.More(); i++ {
		var item LinkItem
		if err := d.Decode(&item); err != nil {
			bad.add(i, "%s", plainJSON(err))
			return nil, bad.err("the body cannot be read")
		}
		if i == linksMost {
			return nil, seawall.Errorf(seawall.ErrInvalid, "more than %d links at once", linksMost).WithHint("send them in parts; seawall links import does")
		}
		if err := errors.Join(entityLike(item.Entity), nameLike("system", item.System, maxRecord), nameLike("record", item.Record, maxRecord)); err != nil {
			bad.add(i, "%s", firstLine(err))
			continue
		}
		l := seawall.Link{Entity: s.Gateway.Alias(item.Entity), System: item.System, Record: item.Record, At: s.Now(), By: by(ctx)}
		name, _ := seawall.EntityName(l.Entity)
		at, of := place{l.Entity, l.System}, [3]string{name, l.System, l.Record}
		if before, twice := first[at]; twice && out[before].Record != l.Record {
			bad.add(i, "%s has %s in %s already, by item %d", clipped(l.Entity), clipped(out[before].Record), clipped(l.System), before+1)
		} else if before, twice := owner[of]; twice && out[before].Entity != l.Entity {
			bad.add(i, "%s of %s is %s already, by item %d", clipped(l.Record), clipped(l.System), clipped(out[before].Entity), before+1)
		}
		first[at], owner[of] = i, i
		out = append(out, l)
	}
	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, badLinks(err)
	}
	return out, bad.err("some links cannot be written: none was")
}

func badLinks(err error) error {
	return seawall.Errorf(seawall.ErrInvalid, "the body cannot be read: %s", plainJSON(err)).
		WithHint(`send [{"entity": "order/1001", "system": "stripe", "record": "pi_3N"}, …], or one such object a line`)
}

// plainJSON words an error of reading JSON.
func plainJSON(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends within a value"
	}
	return err.Error()
}

func firstLine(err error) string {
	line, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return string(line)
}

// compareLinks counts what links would change, and finds those that cannot be
// written.
func (s *server) compareLinks(ctx context.Context, ls []seawall.Link, out *LinksWritten) error {
	bad := faults{kind: seawall.ErrConflict}
	has := map[string][]seawall.Link{}
	for i, l := range ls {
		name, _ := seawall.EntityName(l.Entity)
		owner, err := s.Store.EntityOf(ctx, name, l.System, l.Record)
		if err != nil {
			return fmt.Errorf("whose %s of %s is: %w", clipped(l.Record), clipped(l.System), err)
		}
		if owner != "" && owner != l.Entity {
			bad.add(i, "%s of %s is %s", clipped(l.Record), clipped(l.System), clipped(owner))
			continue
		}
		if _, read := has[l.Entity]; !read {
			if has[l.Entity], err = s.Store.LinksOf(ctx, l.Entity); err != nil {
				return fmt.Errorf("links of %s: %w", clipped(l.Entity), err)
			}
		}
		at := slices.IndexFunc(has[l.Entity], func(h seawall.Link) bool { return h.System == l.System })
		switch {
		case at < 0:
			out.New++
		case has[l.Entity][at].Record == l.Record:
			out.Same++
		default:
			out.Changed++
		}
	}
	return bad.err("some records belong to other entities: no link was written")
}

// unknownSystems warns of names that the configuration has for no link: nothing
// would ever look for them.
func (s *server) unknownSystems(ls []seawall.Link) (out []string) {
	c, _ := s.Gateway.Config()
	known := knownLinks(c)
	for _, l := range ls {
		if !known[l.System] {
			known[l.System] = true
			out = append(out, fmt.Sprintf("the configuration has no system or link %q", clipped(l.System)))
		}
	}
	return out
}
