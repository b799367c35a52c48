package postgres

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// qEntities adds up what there is of each entity, in their order.
const qEntities = `SELECT e.entity, p.waiting, p.blocked, p.at
	FROM (SELECT DISTINCT entity FROM position WHERE entity > $1 AND entity < $2 ORDER BY entity LIMIT $4) e
	CROSS JOIN LATERAL (SELECT coalesce(sum(waiting), 0) AS waiting, count(wake) AS blocked, max(at) AS at FROM position
		WHERE entity = e.entity AND data IS NOT NULL AND ($3::int4 = 0 OR destination = $3) OFFSET 0) p ORDER BY e.entity`

func (s *Store) ListEntities(ctx context.Context, f store.EntityFilter, p store.Page) (l store.List[store.EntityState], err error) {
	var destination int32
	if f.Destination != "" {
		id, ok, err := s.names.find(ctx, f.Destination)
		if err != nil || !ok {
			return l, judge(err)
		}
		destination = id
	}
	from, end := named(f.Name)
	w := walk[store.EntityState]{kind: 'n', last: []string{from}}
	w.read = func(last []string, n int) (pgx.Rows, error) {
		return s.pool.Query(ctx, qEntities, last[0], end, destination, n)
	}
	w.scan = func(row pgx.CollectableRow) (e store.EntityState, at []string, ok bool, err error) {
		var changed *time.Time
		err = row.Scan(&e.Entity, &e.Waiting, &e.Blocked, &changed)
		if changed != nil {
			e.At = changed.UTC()
		}
		return e, []string{e.Entity}, changed != nil && (!f.Waiting || e.Waiting+e.Blocked > 0), err
	}
	return w.page(p)
}

// named bounds the entities of a name: those past from and before end.
func named(name string) (from, end string) {
	if name == "" {
		return "", "\U0010FFFF"
	}
	name = legible(name)
	return name + "/", name + "0" // which follows the slash
}

// walk pages through rows in the order of texts. It reads on from where the page
// before ended, a chunk at a time, and leaves out what is not wanted; a page takes a
// bounded time, and may be thin.
type walk[T any] struct {
	kind byte     // what the cursor is of
	last []string // where to begin
	read func(last []string, n int) (pgx.Rows, error)
	scan func(pgx.CollectableRow) (item T, at []string, ok bool, err error)
}

const chunk = 1000

func (w *walk[T]) page(p store.Page) (out store.List[T], err error) {
	limit, began := limitOf(p), time.Now()
	if p.Cursor != "" {
		if w.last, err = readWords(p.Cursor, w.kind, len(w.last)); err != nil {
			return out, err
		}
	}
	kept := w.last // where the last item that fits was
	for {
		rows, err := w.read(w.last, chunk)
		if err != nil {
			return out, judge(err)
		}
		n, full := 0, false
		for rows.Next() && !full {
			item, at, ok, err := w.scan(rows)
			if err != nil {
				rows.Close()
				return out, judge(err)
			}
			n++
			if full = ok && len(out.Items) == limit; full {
				break
			}
			if w.last = at; ok {
				out.Items, kept = append(out.Items, item), at
			}
		}
		rows.Close()
		switch err := rows.Err(); {
		case err != nil:
			return out, judge(err)
		case full:
			out.Next = writeWords(w.kind, kept)
			return out, nil
		case n < chunk:
			return out, nil
		case time.Since(began) > pageTime:
			out.Next = writeWords(w.kind, w.last)
			return out, nil
		}
	}
}

func writeWords(kind byte, words []string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(kind) + strings.Join(words, "\x00")))
}

func readWords(s string, kind byte, n int) ([]string, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil && len(b) > 0 && b[0] == kind {
		if words := strings.Split(string(b[1:]), "\x00"); len(words) == n {
			for i := range words {
				words[i] = legible(words[i])
			}
			return words, nil
		}
	}
	return nil, seawall.Errorf(seawall.ErrInvalid, "the cursor is not one of this list").
		WithHint("leave it out to begin at the start; pass on \"next\" as it came")
}
