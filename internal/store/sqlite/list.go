package sqlite

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	defaultLimit = 100
	maxLimit     = 1000

	// stretch is how many ids are looked through in one go for what a filter
	// selects, and steps how much work (SQLite's own count, some 30 ms) a page
	// may take over several goes: a rare match makes pages thin, never slow.
	stretch = 5000
	steps   = 1_000_000
)

// listing pages through rows by id.
type listing[T any] struct {
	kind      byte // what the cursor is of
	ascending bool
	width     int64 // ids that a page looks through at most; 0: no bound, an index finds them
	low, high int64 // ids that can match, both inclusive

	// sql selects with ?1 and ?2 the lowest and highest id, with ?3 the limit
	// and with the rest the filter's arguments.
	sql  string
	args []any

	scan    func(*stmt) (id int64, item T, err error)
	nearest string // selects the nearest id past ?1, to leap over gaps
}

// page reads the page after the cursor.
func (l *listing[T]) page(c *conn, p store.Page) (out store.List[T], err error) {
	limit := pageLimit(p)
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
	st := c.prepare(l.sql)
	defer st.finalize()
	for work := 0; low <= high; {
		from, to := l.stretch(low, high)
		full, err := l.collect(st, from, to, limit, &last, &out)
		if err != nil || full {
			return out, err
		}
		past, more, err := l.leap(c, from, to, low, high)
		if err != nil || !more {
			return out, err
		}
		if work += st.work(); work > steps {
			out.Next = writeCursor(l.kind, past)
			return out, nil
		}
		if l.ascending {
			low = past + 1
		} else {
			high = past - 1
		}
	}
	return out, nil
}

func pageLimit(p store.Page) int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// stretch is the part of what is left that is looked through next.
func (l *listing[T]) stretch(low, high int64) (from, to int64) {
	switch {
	case l.width == 0 || high-low < l.width:
		return low, high
	case l.ascending:
		return low, low + l.width - 1
	default:
		return high - l.width + 1, high
	}
}

// collect adds what a stretch holds, and tells whether the page is full and
// something is left over.
func (l *listing[T]) collect(st *stmt, from, to int64, limit int, last *int64, out *store.List[T]) (full bool, err error) {
	defer st.done()
	st.int(from).int(to).int(int64(limit + 1 - len(out.Items)))
	bindAll(st, l.args)
	for st.next() {
		id, item, err := l.scan(st)
		if err != nil {
			return false, err
		}
		if len(out.Items) == limit {
			out.Next = writeCursor(l.kind, *last)
			return true, nil
		}
		out.Items = append(out.Items, item)
		*last = id
	}
	return false, st.done()
}

// leap returns the id to go on from past a stretch, over any gap; false if
// nothing is left.
func (l *listing[T]) leap(c *conn, from, to, low, high int64) (past int64, more bool, err error) {
	if from <= low && to >= high {
		return 0, false, nil
	}
	edge := from
	if l.ascending {
		edge = to
	}
	st := c.prepare(l.nearest)
	defer st.finalize()
	id, err := one(st.int(edge))
	switch {
	case err != nil || id == 0:
		return 0, false, err
	case l.ascending:
		return id - 1, id <= high, nil
	default:
		return id + 1, id >= low, nil
	}
}

// where collects a filter's conditions.
type where struct {
	sql  strings.Builder
	args []any
}

// and adds a condition with one argument, in the place of its "?".
func (w *where) and(cond string, arg any) {
	w.args = append(w.args, arg)
	w.sql.WriteString(" AND " + strings.Replace(cond, "?", fmt.Sprintf("?%d", 3+len(w.args)), 1))
}

// glob adds a condition on a type that may hold * and ?.
func (w *where) glob(column, pattern string) {
	switch {
	case pattern == "" || pattern == "*":
	case strings.ContainsAny(pattern, "*?"):
		w.and(column+" GLOB ?", strings.ReplaceAll(pattern, "[", "[[]"))
	default:
		w.and(column+" = ?", pattern)
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

func bindAll(st *stmt, args []any) {
	for _, arg := range args {
		switch v := arg.(type) {
		case int64:
			st.int(v)
		case string:
			st.word(v)
		case time.Time:
			st.int(v.UnixMicro())
		default:
			panic(fmt.Sprintf("sqlite: argument of type %T", arg))
		}
	}
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
		return 0, noCursor()
	}
	return int64(binary.BigEndian.Uint64(b[1:])), nil
}

func noCursor() error {
	return seawall.Errorf(seawall.ErrInvalid, "the cursor is not one of this list").
		WithHint("leave it out to begin at the start; pass on \"next\" as it came")
}

// writeWord makes a cursor of text.
func writeWord(kind byte, last string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{kind}, last...))
}

func readWord(s string, kind byte) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || b[0] != kind {
		return "", noCursor()
	}
	return string(b[1:]), nil
}

// everything is the highest id there can be.
const everything = math.MaxInt64 - 1
