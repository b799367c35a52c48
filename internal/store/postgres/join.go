package postgres

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Events that join lines take two round trips where others take one statement:
// first their keys and numbers, with the positions locked and what stands in the way
// read; then, once it is decided whose turn it is, all that is written.

// more tells whether an event takes more than the one statement.
func (a *acceptance) more() bool { return a.lined || len(a.Links) > 0 || a.Unresolved != nil }

// place is where a delivery's line is.
func (s *Store) place(ctx context.Context, d *seawall.Delivery) (place, error) {
	id, err := s.names.id(ctx, d.Destination)
	return place{id, legible(d.Entity)}, err
}

var (
	qNumber = &statement{"seawall_number", "WITH " + strings.NewReplacer("$39", "$8", "$11", "$7", "$7", "$6").Replace(numberSQL) + acceptTail,
		slices.Concat(acceptTypes[atKeys], []uint32{oidUUID, oidInt2}, acceptTypes[atReceived])}

	// What acceptSQL does once its numbers are drawn.
	qWrite = &statement{"seawall_write", shift(writeSQL+" SELECT", 5), writeTypes}

	// The same where a delivery has ended, as one that is planned so or superseded.
	qWriteEnded = &statement{"seawall_write_ended", shift(writeSQL+", f AS ("+deliverySQL("finished", "finished", ">=")+") SELECT", 5), writeTypes}

	writeSQL   = "WITH s AS (SELECT $41::int8[] AS seqs), e AS (" + eventSQL + "), d AS (" + linedSQL + ")"
	writeTypes = slices.Concat(acceptTypes[atEvents], acceptTypes[atDeliveries], []uint32{oidInt8, oidText, oidInt8})

	linedSQL = strings.NewReplacer("entity, rank)\n", "entity, rank, line, awaits)\n", "x.entity, x.rank\n", "x.entity, x.rank, x.line, x.awaits\n",
		"AS rank) x", "AS rank, unnest($39::int8[]) AS line, unnest($40::text[]) AS awaits) x").Replace(deliverySQL("delivery", "due", "<"))
)

// Columns of qWrite.
const (
	writeEvents     = 0
	writeDeliveries = 17
	writeLines      = 33
	writeSeqs       = 35
)

// shift numbers the parameters of a statement from by fewer on.
func shift(sql string, by int) string {
	return regexp.MustCompile(`\$\d+`).ReplaceAllStringFunc(sql, func(p string) string {
		n, err := strconv.Atoi(p[1:])
		if err != nil {
			panic(err) // the statements are constants
		}
		return "$" + strconv.Itoa(n-by)
	})
}

// acceptLined accepts events in a transaction of their own, and returns those that
// are not new.
func (s *session) acceptLined(ctx context.Context, as []*acceptance) (repeats []*acceptance, err error) {
	planned := keepPlans(as)
	err = s.atomic(ctx, func() error {
		planned.restore()
		j := s.joining(s.positions(), as)
		if err := s.send(ctx, append([]request{{st: beginTx}}, j.begin()...)...); err != nil {
			return err
		}
		if err := j.join(ctx); err != nil {
			return err
		}
		if err := s.send(ctx, append(j.end(), request{st: commitTx})...); err != nil {
			return err
		}
		repeats = j.repeats
		s.s.lines.note(j.ps.made)
		return nil
	})
	if err != nil {
		planned.restore()
	}
	return repeats, err
}

// acceptWithin accepts events within a transaction that may have locked positions,
// all that these need among them.
func (s *session) acceptWithin(ctx context.Context, ps *positions, as []*acceptance) (repeats []*acceptance, err error) {
	if !slices.ContainsFunc(as, (*acceptance).more) {
		return s.accept(ctx, as, s.exec)
	}
	if ps == nil {
		ps = s.positions()
	}
	j := s.joining(ps, as)
	if err := s.send(ctx, j.begin()...); err != nil {
		return nil, err
	}
	if err := j.join(ctx); err != nil {
		return nil, err
	}
	return j.repeats, s.send(ctx, j.end()...)
}

// original are deliveries as they were planned: what became of them is written into
// them, and undone where it was not committed.
type original struct{ ds, was []seawall.Delivery }

func keepPlan(ds []seawall.Delivery) original { return original{ds, slices.Clone(ds)} }

func (p original) restore() { copy(p.ds, p.was) }

// originals are those of several events.
type originals []original

func keepPlans(as []*acceptance) originals {
	ps := make(originals, len(as))
	for i, a := range as {
		ps[i] = keepPlan(a.Deliveries)
	}
	return ps
}

func (ps originals) restore() {
	for _, p := range ps {
		p.restore()
	}
}

// joining is a batch of events on its way into the tables, and into lines.
type joining struct {
	*session
	ps       *positions
	as       []*acceptance
	distinct []*acceptance
	seqs     []int64
	repeats  []*acceptance
	latest   bool // only the newest matters to some
}

func (s *session) joining(ps *positions, as []*acceptance) *joining {
	return &joining{session: s, ps: ps, as: as, distinct: collapse(as)}
}

// begin draws numbers for what is new, and locks the lines. What stands in the way is
// read with it, if something did in the batch before.
func (j *joining) begin() []request {
	rs := []request{{qNumber, j.fillNumbers, j.readNumbers}}
	add, latest := j.places()
	if len(add.places) == 0 {
		return rs
	}
	j.latest = latest
	p := j.s.lines.pick(add)
	if len(p.places) > 0 {
		rs = append(rs, j.ps.drawFor(p.places), j.ps.lock(p.pick))
	} else {
		rs = append(rs, j.ps.lockIDs(p.ids))
	}
	if j.busy {
		rs = append(rs, j.obstacles(p.pick)...)
	}
	return rs
}

// obstacles are the requests that read what stands in the way of those that join.
func (j *joining) obstacles(p pick) []request {
	rs := []request{j.ps.heads(p)}
	if j.latest {
		rs = append(rs, j.ps.rivals(p))
	}
	return rs
}

// look reads what stands in the way, if something does and it was not read yet.
func (j *joining) look(ctx context.Context) error {
	var p pick
	busy := false
	for id, l := range j.ps.byID {
		if !l.Head.IsZero() || l.Waiting > 0 {
			busy = true
			if !l.stood {
				p.ids = append(p.ids, id)
			}
		}
	}
	read := j.busy
	j.busy = busy
	if read || p.none() {
		return nil
	}
	slices.Sort(p.ids)
	return j.send(ctx, j.obstacles(p)...)
}

// places are those that the events' deliveries join, each once, with the queue that
// they go to; and whether only the newest matters to any of them.
func (j *joining) places() (add planner, latest bool) {
	add.seen = map[place]bool{}
	for _, a := range j.distinct {
		for i, p := range a.planned {
			latest = latest || p.line != (place{}) && a.Deliveries[i].Order == seawall.Latest
			if l := j.ps.at[p.line]; l == nil || !l.made {
				add.add(p.line, p.queue)
			}
		}
	}
	return add, latest
}

func (j *joining) fillNumbers(cs *columns) {
	fillKeys(cs, j.sorted(j.distinct), j.distinct, len(qNumber.types)-1)
	for _, a := range j.distinct {
		cs.row(5).uuid(a.Event.ID).int2(a.flags)
	}
}

func (j *joining) readNumbers(rows pgx.Rows) (err error) {
	for rows.Next() {
		if j.seqs, err = parseInts(nil, rows.RawValues()[0]); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(j.seqs) != len(j.distinct) {
		return errRows
	}
	return nil
}

// join decides what becomes of the new ones' deliveries.
func (j *joining) join(ctx context.Context) error {
	if err := j.look(ctx); err != nil {
		return err
	}
	if j.forgetExpired() {
		return errMoved
	}
	j.repeats = sortFresh(j.as, j.distinct, j.seqs)
	for i, a := range j.distinct {
		if j.seqs[i] == 0 {
			continue
		}
		for n := range a.Deliveries {
			d, p := &a.Deliveries[n], &a.planned[n]
			if p.line == (place{}) {
				continue
			}
			l, err := j.ps.position(p.line, p.queue)
			if err != nil {
				return err
			}
			key := deliveryKey(a.Event.Seq, d.ID.N())
			j.ps.join(l, key, d, a.Event.Version, p.queue)
			j.ps.fresh[key] = d
		}
	}
	return nil
}

// forgetExpired forgets the numbers of positions that are not there any more, all at
// once: to begin anew for each of them would be given up after a few.
func (j *joining) forgetExpired() (some bool) {
	for _, a := range j.distinct {
		for _, p := range a.planned {
			if p.line != (place{}) && j.ps.at[p.line] == nil && j.ps.drawn[p.line] == 0 {
				j.s.lines.forget(p.line)
				some = true
			}
		}
	}
	return some
}

// join has a delivery join a line, and writes into it what becomes of it.
func (ps *positions) join(l *position, key int64, d *seawall.Delivery, version string, queue int32) {
	m := order.Member{Mark: order.Mark{Key: key, Delivery: d.ID, Rank: d.Rank, Version: version},
		Order: d.Order, OnLate: d.OnLate, After: d.After, Due: d.Due, Late: d.Late}
	ps.apply(l.Join(&m))
	l.queue, l.touched = queue, true
	joinedAs(d, &m)
	if d.State.Final() {
		d.Finished = ps.now
	}
}

// joinedAs writes into a delivery what became of it.
func joinedAs(d *seawall.Delivery, m *order.Member) {
	d.State, d.Reason, d.Due, d.Late, d.Tied, d.Rank = m.State, m.Reason, m.Due, m.Late, m.Tied, m.Rank
}

// end writes what is new, and what was decided.
func (j *joining) end() []request {
	rs := []request{}
	if len(j.repeats) < len(j.as) {
		st := qWrite
		for _, a := range j.distinct {
			if slices.ContainsFunc(a.Deliveries, func(d seawall.Delivery) bool { return d.State.Final() }) {
				st = qWriteEnded
			}
		}
		rs = append(rs, request{st, j.fillRows, nil})
	}
	return append(append(rs, j.ps.write()...), j.links()...)
}

func (j *joining) fillRows(cs *columns) {
	for i, a := range j.distinct {
		cs.row(writeSeqs).int8(j.seqs[i])
		fillEvent(cs.row(writeEvents), a)
		for n := range a.Deliveries {
			d, p := &a.Deliveries[n], &a.planned[n]
			fillDelivery(cs.row(writeDeliveries), a, i, n)
			cs.row(writeLines)
			if l := j.ps.at[p.line]; l != nil {
				cs.int8(l.id)
			} else {
				cs.null()
			}
			cs.text(awaited(d))
		}
	}
}

// awaited are the prerequisites of a delivery that is held for them.
func awaited(d *seawall.Delivery) string {
	if d.State != seawall.Held || d.Reason != seawall.ReasonPrerequisite {
		return ""
	}
	return strings.Join(d.After, "\n")
}

// links are what new events say about records.
func (j *joining) links() []request {
	var links []seawall.Link
	var waiting []unresolved
	for i, a := range j.distinct {
		if j.seqs[i] == 0 {
			continue
		}
		links = append(links, a.Links...)
		if a.Unresolved != nil {
			waiting = append(waiting, unresolved{a.Event.ID, *a.Unresolved})
		}
	}
	return append(teach(links, j.ps.now), await(waiting)...)
}

// unresolved is an event that waits for a link.
type unresolved struct {
	event seawall.EventID
	store.Record
}
