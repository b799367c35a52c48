package api_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// late is a store in which the commit of the first event is still on its way,
// from another node: nobody sees it, and a follower nothing that came after it.
type late struct {
	store.Store
	come atomic.Bool
}

func (l *late) ListEvents(ctx ctxt, f store.EventFilter, p store.Page) (store.List[seawall.Event], error) {
	out, err := l.Store.ListEvents(ctx, f, p)
	if !l.come.Load() {
		out.Items = slices.DeleteFunc(out.Items, func(e seawall.Event) bool { return e.Seq == 1 || f.After != 0 })
	}
	return out, err
}

func TestG2_FollowerMissesNothingThatIsCommittedLate(t *testing.T) {
	l := &late{}
	b := newBench(t, func(o *api.Options) {
		l.Store = o.Store
		o.Store = l
	})
	b.accept("evt_1", "{}")
	b.accept("evt_2", "{}")
	page := get[api.Page[api.Event]](b, "/api/v1/events?after=0")
	if len(page.Data) != 0 {
		t.Fatalf("a follower was shown %+v", page.Data)
	}
	l.come.Store(true)
	page = get[api.Page[api.Event]](b, "/api/v1/events?cursor="+page.Next)
	if len(page.Data) != 2 || page.Data[0].SourceID != "evt_1" {
		t.Errorf("missed: %+v", page.Data)
	}
}
