package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
)

var qPositions = newQuery(`SELECT n.text, p.waiting, p.at, p.data FROM position p JOIN name n ON n.id = p.destination WHERE p.entity = ?`)

func (s *Store) Positions(ctx context.Context, entity string) (out []store.Position, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		st := c.use(qPositions).word(entity)
		defer st.done()
		for st.next() {
			p := store.Position{Destination: st.getText()}
			waiting := st.getInt()
			p.At = st.getTime()
			var err error
			if p.Position, err = pack.ParsePosition(st.peek()); err != nil {
				return err
			}
			p.Waiting = int(waiting)
			out = append(out, p)
		}
		slices.SortFunc(out, func(a, b store.Position) int { return strings.Compare(a.Destination, b.Destination) })
		return st.done()
	})
	return out, err
}

// qEntities reads positions of entities after one and before another, of one
// destination or of all.
var qEntities = newQuery(`SELECT entity, waiting, block IS NOT NULL, at FROM position INDEXED BY position_entity
	WHERE entity > ?1 AND entity < ?2 AND (?3 = 0 OR destination = ?3) ORDER BY entity`)

func (s *Store) ListEntities(ctx context.Context, f store.EntityFilter, p store.Page) (out store.List[store.EntityState], err error) {
	from, end := "", "\U0010FFFF"
	if f.Name != "" {
		from, end = f.Name+"/", f.Name+"0" // which is what follows on a slash
	}
	if p.Cursor != "" {
		if from, err = readWord(p.Cursor, 'n'); err != nil {
			return out, err
		}
	}
	limit := pageLimit(p)
	err = s.read(ctx, func(c *conn) error {
		out = store.List[store.EntityState]{}
		var destination int64
		if f.Destination != "" {
			var ok bool
			if destination, ok = s.names.id(c, f.Destination); !ok {
				return nil
			}
		}
		st := c.use(qEntities).word(from).word(end).int(destination)
		defer st.done()
		var e store.EntityState
		last := from
		keep := func() {
			if e.Entity != "" && (!f.Waiting || e.Waiting > 0 || e.Blocked > 0) {
				out.Items = append(out.Items, e)
			}
			last = e.Entity
		}
		for rows := 0; st.next(); rows++ {
			entity := st.getText()
			if entity != e.Entity {
				if keep(); len(out.Items) == limit || rows >= lookThrough {
					out.Next = writeWord('n', last)
					return nil
				}
				e = store.EntityState{Entity: entity}
			}
			e.Waiting += int(st.getInt())
			e.Blocked += int(st.getInt())
			if at := st.getTime(); at.After(e.At) {
				e.At = at
			}
		}
		keep()
		return st.done()
	})
	return out, err
}

// lookThrough bounds the rows that a page reads that a filter leaves out.
const lookThrough = 20_000
