package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// acceptance is a store.Acceptance with what can be computed before its batch,
// by its caller.
type acceptance struct {
	*store.Acceptance
	source  int32
	key     []byte // nil if keyless
	part    int32
	flags   int16
	plan    []byte
	request []byte
	body    []byte // as it is stored
	planned []plannedRow
	lined   bool // a delivery of it joins a line
	out     *store.Accepted
	call    int // which one of its batch it is of
}

// plannedRow is where a delivery of it goes.
type plannedRow struct {
	queue, route int32
	line         place // that it joins; zero: none
}

func (a *acceptance) size() int {
	return len(a.body) + len(a.request) + len(a.plan) + 256 + 128*len(a.planned)
}

// longestID is the longest source event id that is a key as it stands.
const longestID = 48

// dedupeKey is the source event id itself: most senders number their events by
// time in some way, and neighbours in time then share pages of the index. A long
// one is hashed, to half a SHA-256: too long for anybody to find two that share
// one, which would make an event of his vanish as another's duplicate.
func dedupeKey(id string) []byte {
	if len(id) <= longestID {
		return append(append(make([]byte, 0, len(id)+1), 0), id...)
	}
	sum := sha256.Sum256([]byte(id))
	return append([]byte{1}, sum[:16]...)
}

// prepare computes what can be computed ahead, and makes sure of the names, over
// another connection than the batch's.
func (s *Store) prepare(ctx context.Context, batch []store.Acceptance, out []store.Accepted) (as []acceptance, size int, err error) {
	as = make([]acceptance, len(batch))
	for i := range batch {
		if err := s.prepareOne(ctx, &as[i], &batch[i]); err != nil {
			return nil, 0, err
		}
		as[i].out = &out[i]
		size += as[i].size()
	}
	return as, size, nil
}

func (s *Store) prepareOne(ctx context.Context, a *acceptance, in *store.Acceptance) (err error) {
	a.Acceptance = in
	e := in.Event
	switch {
	case e.SourceID == "" && !e.Keyless:
		return seawall.Errorf(seawall.ErrInvalid, "accept %s: no source event id", e.ID)
	case len(in.Deliveries) > seawall.MaxDeliveries:
		return seawall.Errorf(seawall.ErrInvalid, "accept %s: %d deliveries of one event, at most %d",
			e.ID, len(in.Deliveries), seawall.MaxDeliveries)
	}
	if a.source, err = s.names.id(ctx, e.Source); err != nil {
		return err
	}
	a.planned = make([]plannedRow, len(in.Deliveries))
	for i := range in.Deliveries {
		d, p := &in.Deliveries[i], &a.planned[i]
		if d.ID.IsZero() {
			d.ID = e.ID.Delivery(i + 1)
		}
		if d.ID.Event() != e.ID {
			return seawall.Errorf(seawall.ErrInvalid, "accept %s: %s is not a delivery of it", e.ID, d.ID)
		}
		q, err := s.names.queue(ctx, line{d.Destination, store.Lane{System: d.System, Shard: d.Shard}})
		if err != nil {
			return err
		}
		p.queue = q.id
		if p.route, err = s.names.id(ctx, d.Route); err != nil {
			return err
		}
		if d.State == seawall.Pending && d.Lined() {
			a.lined = true
			s.lined.add(q.lane)
			if p.line, err = s.place(ctx, d); err != nil {
				return err
			}
		}
	}
	if e.Derived {
		a.flags |= flagDerived
	}
	if e.Keyless {
		a.flags |= flagKeyless
	} else {
		a.key = dedupeKey(e.SourceID)
	}
	a.part = s.part(e.ID)
	a.plan, a.request, a.body = pack.Plan(e.Decisions), pack.Request(e), e.Body
	if small, ok := deflate(e.Body); ok {
		a.body, a.flags = small, a.flags|flagCompressed
	}
	return nil
}

// acceptCall is one call of Accept.
type acceptCall struct{ as []acceptance }

func (s *Store) Accept(ctx context.Context, batch []store.Acceptance) ([]store.Accepted, error) {
	out := make([]store.Accepted, len(batch))
	if len(batch) == 0 {
		return out, ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, flushFor)
	as, size, err := s.prepare(within, batch, out)
	cancel()
	if err != nil {
		return nil, judge(err)
	}
	if err := s.accepts.do(ctx, &acceptCall{as}, size); err != nil {
		return nil, judge(err)
	}
	return out, nil
}

// Columns of the statement that accepts.
const (
	atKeys = iota
	atEvents
	atDeliveries
	atReceived
)

var (
	acceptTypes = [][]uint32{
		atKeys: {oidInt4, oidBytes, oidUUID, oidBytes, oidTime},
		atEvents: {oidInt4, oidUUID, oidInt4, oidTime, oidTime, oidInt2, oidInt2, oidInt8, oidInt2, oidUUID,
			oidText, oidText, oidText, oidBytes, oidBytes, oidBytes, oidBytes},
		atDeliveries: {oidInt4, oidInt8, oidInt4, oidInt2, oidTime, oidInt4, oidInt4, oidInt8, oidInt2, oidInt4, oidInt4,
			oidTime, oidTime, oidText, oidText, oidBytes},
		atReceived: {oidTime},
	}
	firstOf = [...]int{atKeys: 0, atEvents: 5, atDeliveries: 22, atReceived: 38}

	// Keys that are new, or whose horizon had passed when the first of the batch
	// was received, give their events a
	// sequence number, in their order; the others get 0 and nothing else of
	// them is written. The numbers pass from one part of the statement to the
	// next as an array, which costs no join.
	acceptSQL = "WITH " + numberSQL + ", e AS (" + eventSQL + "), d AS (" + deliverySQL("delivery", "due", "<") + `
)`
	acceptTail = ` SELECT seqs FROM s`

	numberSQL = `k AS (
	INSERT INTO dedupe AS d (source, key, event, body, expires)
	SELECT unnest($1::int4[]), unnest($2::bytea[]), unnest($3::uuid[]), unnest($4::bytea[]), unnest($5::timestamptz[])
	ON CONFLICT (source, key) DO UPDATE SET event = excluded.event, body = excluded.body, expires = excluded.expires
	WHERE d.expires <= ($39::timestamptz[])[1]
	RETURNING event
), s AS MATERIALIZED (
	SELECT ARRAY(SELECT CASE WHEN x.flags & 2 <> 0 OR x.id IN (SELECT event FROM k) THEN nextval('event_seq') ELSE 0 END
		FROM (SELECT unnest($7::uuid[]) AS id, unnest($11::int2[]) AS flags) x) AS seqs
)`
	eventSQL = `
	INSERT INTO event (part, seq, id, source, received, occurred, flags, routing, revision, depth, cause,
		type, entity, version, source_id, plan, request, body)
	SELECT x.part, s.seqs[x.i], x.id, x.source, x.received, x.occurred, x.flags, x.routing, x.revision, x.depth, x.cause,
		x.type, x.entity, x.version, x.source_id, x.plan, x.request, x.body
	FROM s, (SELECT generate_series(1, cardinality($7::uuid[])) AS i, unnest($6::int4[]) AS part, unnest($7::uuid[]) AS id,
		unnest($8::int4[]) AS source, unnest($9::timestamptz[]) AS received, unnest($10::timestamptz[]) AS occurred,
		unnest($11::int2[]) AS flags, unnest($12::int2[]) AS routing, unnest($13::int8[]) AS revision, unnest($14::int2[]) AS depth,
		unnest($15::uuid[]) AS cause, unnest($16::text[]) AS type, unnest($17::text[]) AS entity, unnest($18::text[]) AS version,
		unnest($19::bytea[]) AS source_id, unnest($20::bytea[]) AS plan, unnest($21::bytea[]) AS request, unnest($22::bytea[]) AS body) x
	WHERE s.seqs[x.i] <> 0`

	qAccept = &statement{"seawall_accept", acceptSQL + acceptTail, slices.Concat(acceptTypes...)}

	// The same where a delivery is planned as one that has ended.
	qAcceptEnded = &statement{"seawall_accept_ended", acceptSQL + ", f AS (" + deliverySQL("finished", "finished", ">=") + ")" + acceptTail,
		slices.Concat(acceptTypes...)}
)

func deliverySQL(table, at, states string) string {
	return strings.NewReplacer("TABLE", table, "AT", at, "STATES", states).Replace(`
	INSERT INTO TABLE (id, event, part, queue, state, AT, size, route, revision, flags, attempts, round, since, created, reason, entity, rank)
	SELECT (s.seqs[x.of] << 15) + x.n, ($7::uuid[])[x.of], ($6::int4[])[x.of], x.queue, x.state, x.at, x.size, x.route, x.revision,
		x.flags, x.attempts, x.round, x.since, x.created, x.reason, x.entity, x.rank
	FROM s, (SELECT unnest($23::int4[]) AS of, unnest($24::int8[]) AS n, unnest($25::int4[]) AS queue, unnest($26::int2[]) AS state,
		unnest($27::timestamptz[]) AS at, unnest($28::int4[]) AS size, unnest($29::int4[]) AS route, unnest($30::int8[]) AS revision,
		unnest($31::int2[]) AS flags, unnest($32::int4[]) AS attempts, unnest($33::int4[]) AS round, unnest($34::timestamptz[]) AS since,
		unnest($35::timestamptz[]) AS created, unnest($36::text[]) AS reason, unnest($37::text[]) AS entity, unnest($38::bytea[]) AS rank) x
	WHERE s.seqs[x.of] <> 0 AND x.state STATES 3`)
}

// accepter is one writer of acceptances.
type accepter struct {
	session
	as []*acceptance
}

func (w *accepter) flush(ctx context.Context, calls []*acceptCall) []error {
	errs := make([]error, len(calls))
	err := w.write(ctx, calls, errs)
	switch {
	case err == nil:
	case len(calls) > 1 && !passes(err):
		// Nobody pays for a neighbour.
		for i, call := range calls {
			errs[i] = nil
			if err := w.write(ctx, calls[i:i+1], errs[i:i+1]); err != nil {
				errs[i] = refused(call.as, err)
			}
		}
	default:
		for i, call := range calls {
			errs[i] = refused(call.as, err)
		}
	}
	return errs
}

// passes tells whether an error is the server's or the connection's, so that to
// try each call by itself would only make more of it. A deadlock is not.
func passes(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.HasPrefix(pg.Code, "40") {
		return false
	}
	return errors.Is(judge(err), seawall.ErrUnavailable)
}

// refused names the event whose id is taken.
func refused(as []acceptance, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" && strings.HasPrefix(pg.TableName, "event") && len(as) > 0 {
		return seawall.Errorf(seawall.ErrConflict, "accept %s: there is an event with this id", as[0].Event.ID)
	}
	return judge(err)
}

// write writes calls in one transaction. The error is of all; what only concerns
// repeats goes to errs.
func (w *accepter) write(ctx context.Context, calls []*acceptCall, errs []error) error {
	w.as = w.as[:0]
	for n, call := range calls {
		for i := range call.as {
			call.as[i].call = n
			w.as = append(w.as, &call.as[i])
		}
	}
	accept := func() ([]*acceptance, error) { return w.accept(ctx, w.as, w.run) }
	if slices.ContainsFunc(w.as, (*acceptance).more) {
		accept = func() ([]*acceptance, error) { return w.acceptLined(ctx, w.as) }
	}
	repeats, err := accept()
	if missingDay(err) {
		for _, a := range w.as { // a day that was given up this moment
			a.part = 0
		}
		repeats, err = accept()
	}
	if err != nil {
		return err
	}
	w.s.stats.committed(len(calls))
	if len(repeats) == 0 {
		return nil
	}
	if err := w.transaction(ctx, func(q querier) error { return w.repeated(ctx, q, repeats) }); err != nil {
		for _, a := range repeats {
			errs[a.call] = judge(err)
		}
	}
	return nil
}

// accept runs the statement for events, gives them their numbers, and returns
// those that are not new, in their order.
func (s *session) accept(ctx context.Context, as []*acceptance, run func(context.Context, *statement) ([][]byte, error)) (repeats []*acceptance, err error) {
	distinct := collapse(as)
	row, err := run(ctx, s.fill(distinct))
	if err != nil {
		return nil, err
	}
	seqs, err := parseInts(nil, row[0])
	if err != nil || len(seqs) != len(distinct) {
		return nil, errors.Join(err, errRows)
	}
	return sortFresh(as, distinct, seqs), nil
}

// sortFresh gives those that are new their numbers, and returns the others.
func sortFresh(as, distinct []*acceptance, seqs []int64) (repeats []*acceptance) {
	fresh := make(map[*acceptance]bool, len(distinct))
	for i, a := range distinct {
		if seqs[i] != 0 {
			fresh[a] = true
			a.Event.Seq = seqs[i]
			*a.out = store.Accepted{Verdict: seawall.New, Event: a.Event.ID}
		}
	}
	if len(fresh) == len(as) {
		return nil
	}
	for _, a := range as {
		if !fresh[a] {
			repeats = append(repeats, a)
		}
	}
	return repeats
}

// collapse leaves out what repeats another of the same batch: the first stands.
func collapse(as []*acceptance) []*acceptance {
	type key struct {
		source int32
		key    string
	}
	seen := make(map[key]bool, len(as))
	distinct := make([]*acceptance, 0, len(as))
	for _, a := range as {
		k := key{a.source, string(a.key)}
		if a.key == nil || !seen[k] {
			distinct = append(distinct, a)
		}
		seen[k] = true
	}
	return distinct
}

// fill makes the columns of the events and returns the statement for them. Keys
// are written in their order: two batches that share some then wait for each
// other, and not in a circle.
func (s *session) fill(as []*acceptance) *statement {
	st := qAccept
	cs := &s.columns
	cs.reset(len(st.types))
	fillKeys(cs, s.sorted(as), as, firstOf[atReceived])
	for i, a := range as {
		fillEvent(cs.row(firstOf[atEvents]), a)
		for j := range a.Deliveries {
			if a.Deliveries[j].State.Final() {
				st = qAcceptEnded
			}
			fillDelivery(cs.row(firstOf[atDeliveries]), a, i, j)
		}
	}
	return st
}

// fillKeys makes the columns of keys, and of the time by which they are out of date.
func fillKeys(cs *columns, keyed, as []*acceptance, atReceived int) {
	received := as[0].Event.ReceivedAt
	for _, a := range as {
		if a.Event.ReceivedAt.Before(received) {
			received = a.Event.ReceivedAt
		}
	}
	cs.row(atReceived).time(received)
	for _, a := range keyed {
		cs.row(firstOf[atKeys]).int4(a.source).blob(a.key).uuid(a.Event.ID).blob(a.BodyHash[:]).time(a.Expires)
	}
}

func fillEvent(cs *columns, a *acceptance) {
	e := a.Event
	cs.int4(a.part).uuid(e.ID).int4(a.source).time(e.ReceivedAt).time(e.OccurredAt).int2(a.flags).
		int2(int16(e.Routing)).int8(e.Revision).int2(int16(e.Depth)).uuid(e.Cause).
		text(e.Type).text(e.Entity).text(e.Version).blob([]byte(e.SourceID)).blob(a.plan).blob(a.request).blob(a.body)
}

// fillDelivery makes the row of a delivery of the i-th event.
func fillDelivery(cs *columns, a *acceptance, i, j int) {
	d, p, e := &a.Deliveries[j], &a.planned[j], a.Event
	at := d.Due
	if d.State.Final() {
		at = d.Finished
	}
	if at.IsZero() {
		at = e.ReceivedAt
	}
	cs.int4(int32(i + 1)).int8(int64(d.ID.N())).int4(p.queue).int2(int16(d.State)).time(at).
		int4(int32(len(e.Body))).int4(p.route).int8(d.Revision).int2(deliveryFlags(d)).int4(int32(d.Attempts)).int4(int32(d.Round)).
		time(unless(d.Since, e.ReceivedAt)).time(unless(d.Created, e.ReceivedAt)).text(d.Reason).text(d.Entity)
	if p.line == (place{}) {
		cs.blob(d.Rank)
	} else {
		cs.rank(d.Rank)
	}
}

// sorted returns those with a key, by key.
func (s *session) sorted(as []*acceptance) []*acceptance {
	s.keyed = s.keyed[:0]
	for _, a := range as {
		if a.key != nil {
			s.keyed = append(s.keyed, a)
		}
	}
	slices.SortFunc(s.keyed, func(a, b *acceptance) int {
		if a.source != b.source {
			return int(a.source - b.source)
		}
		return bytes.Compare(a.key, b.key)
	})
	return s.keyed
}
