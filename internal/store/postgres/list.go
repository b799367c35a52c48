package postgres

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	defaultLimit = 100
	maxLimit     = 1000

	// stretch is how many ids are looked through in the first go for what a
	// filter selects; a go that took less than quick makes the next one wider.
	// pageTime is how long a page may take over several goes: a rare match makes
	// pages thin, never slow.
	stretch  = 5000
	quick    = 5 * time.Millisecond
	wider    = 4
	pageTime = 50 * time.Millisecond

	// picked is the first go through the rows that an index picks out, of which
	// a filter wants only some.
	picked = 64 * stretch

	// everything is the highest id there can be.
	everything = math.MaxInt64 - 1
)

// listing pages through rows by id.
type listing[T any] struct {
	kind      byte // what the cursor is of
	ascending bool
	width     int64 // ids to look through in the first go; 0: all, because an index finds what matches
	low, high int64 // ids that can match, both inclusive

	// sql selects with $1 and $2 the lowest and highest id, with $3 the limit
	// and with the rest the filter's arguments.
	sql  string
	args []any

	// read scans all rows of a statement.
	read    func(rows pgx.Rows) ([]listed[T], error)
	nearest string // selects the nearest id past $1, to leap over gaps; NULL or no row: none
}

// listed is an item under its id.
type listed[T any] struct {
	id   int64
	item T
}

// page reads the page after the cursor.
func (l *listing[T]) page(ctx context.Context, q querier, p store.Page) (out store.List[T], err error) {
	limit := limitOf(p)
	last, err := readCursor(p.Cursor, l.kind)
	if err != nil {
		return out, err
	}
	low, high := l.low, l.high
	if p.Cursor != "" {
		if l.ascending {
			low = max(low, last+1)
		} else {
			high = min(high, last-1)
		}
	}
	began, width := time.Now(), l.width
	for low <= high {
		went := time.Now()
		from, to := l.stretch(low, high, width)
		full, err := l.collect(ctx, q, from, to, limit, &out)
		if err != nil || full {
			return out, judge(err)
		}
		past, more, err := l.leap(ctx, q, from, to, low, high)
		if err != nil || !more {
			return out, judge(err)
		}
		if time.Since(began) > pageTime {
			out.Next = writeCursor(l.kind, past)
			return out, nil
		}
		if time.Since(went) < quick {
			width = min(width*wider, everything/wider)
		}
		if l.ascending {
			low = past + 1
		} else {
			high = past - 1
		}
	}
	return out, nil
}

func limitOf(p store.Page) int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// stretch is the part of what is left that is looked through next.
func (l *listing[T]) stretch(low, high, width int64) (from, to int64) {
	switch {
	case width == 0 || high-low < width:
		return low, high
	case l.ascending:
		return low, low + width - 1
	default:
		return high - width + 1, high
	}
}

// collect adds what a stretch holds, and tells whether the page is full and
// something is left over.
func (l *listing[T]) collect(ctx context.Context, q querier, from, to int64, limit int, out *store.List[T]) (full bool, err error) {
	room := limit - len(out.Items)
	rows, err := q.Query(ctx, l.sql, append([]any{from, to, int64(room + 1)}, l.args...)...)
	if err != nil {
		return false, err
	}
	found, err := l.read(rows)
	if err != nil {
		return false, err
	}
	for i, f := range found {
		if i == room {
			// With no room at all the last item came from an earlier stretch,
			// and the cursor may stand just before this one.
			last := f.id - 1
			if !l.ascending {
				last = f.id + 1
			}
			if i > 0 {
				last = found[i-1].id
			}
			out.Next = writeCursor(l.kind, last)
			return true, nil
		}
		out.Items = append(out.Items, f.item)
	}
	return false, nil
}

// leap returns the id to go on from past a stretch, over any gap; false if
// nothing is left.
func (l *listing[T]) leap(ctx context.Context, q querier, from, to, low, high int64) (past int64, more bool, err error) {
	if from <= low && to >= high {
		return 0, false, nil
	}
	edge := from
	if l.ascending {
		edge = to
	}
	id, err := number(ctx, q, l.nearest, edge)
	switch {
	case err != nil || id == 0:
		return 0, false, err
	case l.ascending:
		return id - 1, id <= high, nil
	default:
		return id + 1, id >= low, nil
	}
}

// number runs a statement that selects one number; 0 if it selects none.
func number(ctx context.Context, q querier, sql string, args ...any) (int64, error) {
	var n *int64
	err := q.QueryRow(ctx, sql, args...).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && n == nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return *n, nil
}

// where collects a filter's conditions.
type where struct {
	sql  strings.Builder
	args []any
}

// arg adds an argument and returns its place.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(3+len(w.args))
}

// and adds a condition with one argument, in the place of its "?".
func (w *where) and(cond string, v any) {
	w.sql.WriteString(" AND " + strings.Replace(cond, "?", w.arg(v), 1))
}

// like makes a pattern of LIKE of one with * and ?.
var like = strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`, "*", "%", "?", "_")

// glob adds a condition on a type that may hold * and ?.
func (w *where) glob(column, pattern string) {
	switch {
	case pattern == "" || pattern == "*":
	case strings.ContainsAny(pattern, "*?"):
		w.and("coalesce("+column+", '') LIKE ?", like.Replace(legible(pattern)))
	default:
		w.and(column+" = ?", legible(pattern))
	}
}

// times adds the bounds that are set.
func (w *where) times(column string, since, until time.Time) {
	if !since.IsZero() {
		w.and(column+" >= ?", since)
	}
	if !until.IsZero() {
		w.and(column+" < ?", until)
	}
}

// legible makes a text one that the database takes: without NUL and in UTF-8.
func legible(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// A cursor is the id that was read last, behind a letter for the kind of list.

func writeCursor(kind byte, id int64) string {
	b := binary.BigEndian.AppendUint64([]byte{kind}, uint64(id))
	return base64.RawURLEncoding.EncodeToString(b)
}

func readCursor(s string, kind byte) (int64, error) {
	if s == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 9 || b[0] != kind {
		return 0, seawall.Errorf(seawall.ErrInvalid, "the cursor is not one of this list").
			WithHint("leave it out to begin at the start; pass on \"next\" as it came")
	}
	return int64(binary.BigEndian.Uint64(b[1:])), nil
}
