package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// keptRefused is how many rejected arrivals, and how many handshakes, of
	// each source are kept.
	keptRefused = 1000

	// keptStrangers is how many of them are kept over all sources: names of
	// sources that do not exist are the sender's to invent.
	keptStrangers = 20_000

	// trimEvery is how many a node adds of one kind before it trims that kind,
	// and trimAllEvery before it trims them all.
	trimEvery    = 50
	trimAllEvery = 1000
)

// kind is what rejected arrivals and handshakes are bounded by.
type kind struct {
	source  string
	verdict seawall.Verdict
}

// refusals counts what this node added since it trimmed last. Other nodes add
// too, so that the bound holds give or take a few for each of them.
type refusals struct {
	mu  sync.Mutex
	by  map[kind]int
	all int
}

// added notes one more, and tells what is to be trimmed.
func (r *refusals) added(k kind) (one, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil || len(r.by) > keptStrangers {
		r.by = map[kind]int{}
	}
	r.by[k]++
	r.all++
	if one = r.by[k] >= trimEvery; one {
		delete(r.by, k)
	}
	if all = r.all >= trimAllEvery; all {
		r.all = 0
	}
	return one, all
}

const qAddArrival = `INSERT INTO arrival (source, at, verdict, event, status, reason, detail, source_id, proof,
	remote, method, url, body_size, headers, body) VALUES ($1, $2, $3, NULL, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`

func (s *Store) Refuse(ctx context.Context, a seawall.Arrival) error {
	const keptBody = 64 << 10
	source := legible(a.Source)
	_, err := s.pool.Exec(ctx, qAddArrival, source, a.At, int16(a.Verdict), a.Status, orNull(legible(a.Reason)), orNull(legible(a.Detail)),
		orNull(legible(a.SourceID)), orNull(legible(a.Proof)), orNull(legible(a.Remote)), orNull(legible(a.Method)), orNull(legible(a.URL)),
		a.BodySize, pack.Headers(a.Headers), a.Body[:min(len(a.Body), keptBody)])
	if err != nil {
		return judge(err)
	}
	one, all := s.refusals.added(kind{source, a.Verdict})
	if one {
		if _, err = s.pool.Exec(ctx, qTrimKind, source, int16(a.Verdict), keptRefused); err != nil {
			return judge(err)
		}
	}
	if all {
		_, err = s.pool.Exec(ctx, qTrimAll, keptStrangers)
	}
	return judge(err)
}

const (
	qTrimKind = `DELETE FROM arrival WHERE source = $1 AND verdict = $2 AND event IS NULL AND id <= (SELECT id FROM arrival
		WHERE source = $1 AND verdict = $2 AND event IS NULL ORDER BY id DESC OFFSET $3 LIMIT 1)`
	// The sum keeps the planner from walking through all arrivals by id.
	qTrimAll = `DELETE FROM arrival WHERE event IS NULL AND id = ANY (ARRAY(SELECT id FROM arrival
		WHERE event IS NULL ORDER BY id + 0 DESC OFFSET $1))`
)

const arrivalColumns = `a.id, a.source, a.at, a.verdict, a.status, coalesce(a.reason, ''), coalesce(a.detail, ''),
	coalesce(a.source_id, ''), coalesce(a.proof, ''), coalesce(a.remote, ''), coalesce(a.method, ''), coalesce(a.url, ''),
	a.body_size, a.event`

// scanArrival reads the arrivalColumns, and what else there is into more.
func scanArrival(row pgx.CollectableRow, more ...any) (a seawall.Arrival, err error) {
	var verdict int16
	var event pgtype.UUID
	err = row.Scan(append([]any{&a.ID, &a.Source, &a.At, &verdict, &a.Status, &a.Reason, &a.Detail, &a.SourceID, &a.Proof,
		&a.Remote, &a.Method, &a.URL, &a.BodySize, &event}, more...)...)
	a.At, a.Verdict, a.Event = a.At.UTC(), seawall.Verdict(verdict), event.Bytes
	return a, err
}

func (s *Store) Arrival(ctx context.Context, id int64) (*seawall.Arrival, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+arrivalColumns+", a.headers, a.body FROM arrival a WHERE a.id = $1", id)
	if err != nil {
		return nil, judge(err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (seawall.Arrival, error) {
		var headers, body []byte
		a, err := scanArrival(row, &headers, &body)
		if err != nil {
			return a, err
		}
		if len(body) > 0 {
			a.Body = body
		}
		a.Headers, err = pack.ParseHeaders(headers)
		return a, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, seawall.Errorf(seawall.ErrNotFound, "no arrival %d", id)
	}
	if err != nil {
		return nil, judge(err)
	}
	return &a, nil
}

func (s *Store) ListArrivals(ctx context.Context, f store.ArrivalFilter, p store.Page) (list store.List[seawall.Arrival], err error) {
	l := &listing[seawall.Arrival]{kind: 'a', low: 1, width: stretch,
		nearest: "SELECT id FROM arrival WHERE id < $1 ORDER BY id DESC LIMIT 1"}
	if _, err := readCursor(p.Cursor, l.kind); err != nil {
		return list, err
	}
	if l.high, err = number(ctx, s.pool, "SELECT id FROM arrival ORDER BY id DESC LIMIT 1"); err != nil {
		return list, judge(err)
	}
	between, order, w := "a.id BETWEEN $1 AND $2", "a.id DESC", &where{}
	if !f.Event.IsZero() {
		if _, err := find(ctx, s.pool, f.Event); err != nil {
			return list, err
		}
		e := w.arg([16]byte(f.Event))
		between, order = "(a.event, a.id) >= ("+e+", $1) AND (a.event, a.id) <= ("+e+", $2) AND a.event IS NOT NULL", "a.event DESC, a.id DESC"
		l.width = 0
	}
	if f.Source != "" {
		w.and("a.source = ?", legible(f.Source))
	}
	if f.Verdict != nil {
		w.and("a.verdict = ?", int16(*f.Verdict))
	}
	w.times("a.at", f.Since, f.Until)
	l.sql = "SELECT " + arrivalColumns + " FROM arrival a WHERE " + between + w.sql.String() + " ORDER BY " + order + " LIMIT $3"
	l.args = w.args
	l.read = func(rows pgx.Rows) ([]listed[seawall.Arrival], error) {
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (listed[seawall.Arrival], error) {
			a, err := scanArrival(row)
			return listed[seawall.Arrival]{a.ID, a}, err
		})
	}
	return l.page(ctx, s.pool, p)
}
