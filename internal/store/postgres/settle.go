package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// settlement is a store.Settlement with what can be computed before its batch,
// by its caller.
type settlement struct {
	*store.Settlement
	lane     int32 // 0: there is none such
	key      int64 // 0: not known
	attempt  []byte
	outcomes []acceptance
	outs     []store.Accepted
	headers  []byte // of the answer
	to       queue  // where it goes on, if it moves

	out      *store.Settled
	answered bool
	line     int64 // the position that it left
}

// due is when the delivery, which has not ended, is tried next. One that is held is
// not, until something else happens.
func (st *settlement) due() time.Time {
	switch {
	case !st.Due.IsZero():
		return st.Due
	case st.State == seawall.Held:
		return order.Never
	default:
		return st.At
	}
}

// step is what the next attempt does, as flags have it.
func (st *settlement) step() int16 {
	if st.State != seawall.Pending {
		return 0
	}
	return int16(st.Step) << stepShift
}

// settleCall is one call of Settle.
type settleCall struct{ ss []settlement }

// careful tells whether a call needs more than the one statement.
func (c *settleCall) careful() bool {
	return slices.ContainsFunc(c.ss, func(s settlement) bool {
		return s.rare() || len(s.outcomes) > 0 || s.Answer != nil || len(s.Links)+len(s.Unlink) > 0
	})
}

// rare tells whether the statement does not fit it.
func (st *settlement) rare() bool {
	return st.Disable != "" || st.Move != nil || st.key == 0 || st.over()
}

// over tells whether it says of a wait that it is for a person now.
func (st *settlement) over() bool {
	return st.Attempt == nil && st.State == seawall.Held && (st.Reason == seawall.ReasonLate || st.Reason == seawall.ReasonPrerequisite)
}

func (s *Store) Settle(ctx context.Context, ss []store.Settlement) ([]store.Settled, error) {
	out := make([]store.Settled, len(ss))
	if len(ss) == 0 {
		return out, ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, flushFor)
	in, size, err := s.prepareSettlements(within, ss, out)
	cancel()
	if err != nil {
		return nil, judge(err)
	}
	if err := s.settles.do(ctx, &settleCall{in}, size); err != nil {
		return nil, judge(err)
	}
	return out, nil
}

func (s *Store) prepareSettlements(ctx context.Context, ss []store.Settlement, out []store.Settled) (in []settlement, size int, err error) {
	in = make([]settlement, len(ss))
	for i := range ss {
		st := &in[i]
		st.Settlement, st.out = &ss[i], &out[i]
		if ss[i].State == seawall.Sending || ss[i].Delivery.IsZero() {
			return nil, 0, seawall.Errorf(seawall.ErrInvalid, "settle %s: %s is not what an attempt leads to", ss[i].Delivery, ss[i].State)
		}
		if st.Move != nil {
			if ss[i].State != seawall.Pending {
				return nil, 0, seawall.Errorf(seawall.ErrInvalid, "settle %s: one that is %s goes on in no other queue", ss[i].Delivery, ss[i].State)
			}
			if st.to, err = s.names.queue(ctx, line{st.Move.Destination, st.Move.Lane}); err != nil {
				return nil, 0, err
			}
		}
		if a := st.Answer; a != nil {
			st.headers = pack.Headers(a.Headers)
			size += len(st.headers) + len(a.Body)
		}
		if st.lane, err = s.names.findLane(ctx, ss[i].Lease.Lane); err != nil {
			return nil, 0, err
		}
		if st.Seq != 0 {
			st.key = deliveryKey(st.Seq, st.Delivery.N())
		}
		if n := len(st.Outcomes); n > 0 {
			st.outs = make([]store.Accepted, n)
			var more int
			if st.outcomes, more, err = s.prepare(ctx, st.Outcomes, st.outs); err != nil {
				return nil, 0, err
			}
			size += more
		}
		if st.Attempt != nil {
			st.attempt = pack.Attempt(st.Attempt)
		}
		size += len(st.attempt) + 128
	}
	return in, size, nil
}

// settler is one writer of settlements.
type settler struct {
	session
	lines   *positions       // of the transaction; nil: nothing in it belongs to a line
	members map[int64]member // deliveries of lines that are settled, as they stood
}

func (w *settler) flush(ctx context.Context, calls []*settleCall) []error {
	errs := make([]error, len(calls))
	quick, lined, careful := w.sortOut(calls)
	w.each(calls, quick, errs, func(calls []*settleCall) error { return w.quick(ctx, calls) })
	w.each(calls, lined, errs, func(calls []*settleCall) error { return w.lined(ctx, calls) })
	for _, i := range append(quick, lined...) {
		if errs[i] == nil && slices.ContainsFunc(calls[i].ss, func(s settlement) bool { return !s.answered }) {
			careful = append(careful, i)
		}
	}
	slices.Sort(careful)
	w.each(calls, careful, errs, func(calls []*settleCall) error { return w.careful(ctx, calls) })
	return errs
}

// sortOut finds the calls that are one statement, those of lanes in which deliveries
// belong to lines, and the others: those with more to write, and those about a
// delivery that a call before them is about.
func (w *settler) sortOut(calls []*settleCall) (quick, lined, careful []int) {
	seen := make(map[seawall.DeliveryID]bool, len(calls))
	for i, call := range calls {
		later, lines := call.careful(), false
		for j := range call.ss {
			later = later || seen[call.ss[j].Delivery]
			lines = lines || w.s.lined.has(call.ss[j].lane)
			seen[call.ss[j].Delivery] = true
		}
		switch {
		case later:
			careful = append(careful, i)
		case lines:
			lined = append(lined, i)
		default:
			quick = append(quick, i)
		}
	}
	return quick, lined, careful
}

// each writes some of the calls together, and if that fails for what one of them
// is, each by itself: nobody pays for a neighbour.
func (w *settler) each(all []*settleCall, some []int, errs []error, write func([]*settleCall) error) {
	if len(some) == 0 {
		return
	}
	calls := make([]*settleCall, len(some))
	for i, at := range some {
		calls[i] = all[at]
	}
	err := write(calls)
	single := err != nil && len(calls) > 1 && !passes(err)
	for i, at := range some {
		if single {
			err = write(calls[i : i+1])
		}
		errs[at] = judge(err)
	}
}

// quick writes settlements with the one statement that is its own transaction.
// Those that it does not fit are left unanswered.
func (w *settler) quick(ctx context.Context, calls []*settleCall) error {
	ss := unanswered(calls)
	f := w.fences(ss)
	f.fill(&w.columns)
	row, err := w.run(ctx, qSettle)
	if err == nil {
		err = f.read(row)
	}
	if err == nil {
		w.s.stats.committed(len(calls))
	}
	return err
}

// unanswered are the settlements that are left.
func unanswered(calls []*settleCall) (ss []*settlement) {
	for _, call := range calls {
		for i := range call.ss {
			if s := &call.ss[i]; !s.answered {
				ss = append(ss, s)
			}
		}
	}
	return ss
}

// careful writes what is left unanswered of the calls in a transaction.
func (w *settler) careful(ctx context.Context, calls []*settleCall) error {
	todo := unanswered(calls)
	var events []*acceptance
	lined := false
	for _, s := range todo {
		lined = lined || w.s.lined.has(s.lane)
		for i := range s.outcomes {
			events = append(events, &s.outcomes[i])
			lined = lined || s.outcomes[i].lined
		}
	}
	planned, again := keepPlans(events), false
	var next handing
	err := w.transaction(ctx, func(q querier) error {
		planned.restore()
		for _, s := range todo {
			s.answered, s.line, s.Next = false, 0, nil
		}
		if again { // perhaps because a day was given up this moment
			for _, a := range events {
				a.part = 0
			}
		}
		again = true
		w.lines = nil
		if lined {
			if err := w.lineUpAll(ctx, q, todo, events); err != nil {
				return err
			}
		}
		err := w.settleAll(ctx, q, todo, &next)
		if lane := new(linedLane); errors.As(err, &lane) {
			w.s.lined.add(int32(*lane))
			lined = true
			return errMoved
		}
		return err
	})
	w.lines = nil
	if err == nil {
		w.s.stats.committed(len(calls))
		next.hand(ctx, w.s)
		return nil
	}
	for _, s := range todo {
		s.answered, s.line, s.Next = false, 0, nil
	}
	planned.restore()
	return err
}

// settleAll settles within a transaction.
func (w *settler) settleAll(ctx context.Context, q querier, todo []*settlement, next *handing) error {
	var came []*settlement
	for _, ss := range rounds(todo) {
		did, err := w.round(ctx, q, ss)
		if err != nil {
			return err
		}
		came = append(came, did...)
	}
	if w.lines != nil {
		if err := w.lines.proceed(ctx); err != nil {
			return err
		}
		if err := w.send(ctx, append(w.lines.write(), next.take(w.lines, came)...)...); err != nil {
			return err
		}
	}
	var outcomes []*acceptance
	var links, unlinks []seawall.Link
	for _, s := range came {
		for i := range s.outcomes {
			outcomes = append(outcomes, &s.outcomes[i])
		}
	}
	for _, s := range todo {
		// What a delivery taught that someone ended meanwhile is true all the same.
		if *s.out != store.Fenced {
			links, unlinks = append(links, s.Links...), append(unlinks, s.Unlink...)
		}
	}
	if err := w.send(ctx, learn(links, unlinks, w.s.time())...); err != nil {
		return err
	}
	if len(outcomes) == 0 {
		return nil
	}
	repeats, err := w.acceptWithin(ctx, w.lines, outcomes)
	if err != nil || len(repeats) == 0 {
		return err
	}
	return w.repeated(ctx, q, repeats)
}

// rounds splits settlements so that each delivery is in a round once, the
// earlier ones first.
func rounds(ss []*settlement) (out [][]*settlement) {
	count := map[seawall.DeliveryID]int{}
	for _, s := range ss {
		n := count[s.Delivery]
		count[s.Delivery]++
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], s)
	}
	return out
}

// round settles what is about different deliveries, within a transaction: what
// fits the statement by it, the others one by one. It returns those that took effect.
func (w *settler) round(ctx context.Context, q querier, ss []*settlement) (came []*settlement, err error) {
	var plain, answers []*settlement
	for _, s := range ss {
		if !s.rare() {
			plain = append(plain, s)
		}
	}
	if len(plain) > 0 {
		st, f := qSettle, w.fences(plain)
		if w.lines != nil {
			st = qSettleLined
		}
		f.fill(&w.columns)
		row, err := w.exec(ctx, st)
		if err == nil {
			err = f.read(row)
		}
		if err != nil {
			return nil, err
		}
		w.left(plain)
	}
	for _, s := range ss {
		did := true
		if !s.answered {
			if did, err = w.settleOne(ctx, q, s); err != nil {
				return nil, err
			}
		}
		if did && *s.out == store.Done {
			came = append(came, s)
			if s.Answer != nil {
				answers = append(answers, s)
			}
		}
	}
	return came, addAnswers(ctx, q, answers)
}

const (
	atFences = 0
	atFinal  = 3
	atAgain  = 10
)

// qSettle begins with the fence: the rows of the lanes that stand are locked
// against a takeover, which waits for it, and if one was under way it is waited
// for and seen. Only deliveries of a lane's own queues are touched, and only if
// the attempt has the number that is next: else people stepped in, or the same
// was committed before and its caller never heard. What the next attempt does comes
// with the state, in the bits where flags have it: a column of its own would cost
// each batch.
//
// What belongs to a line is left alone: the lines' positions must be locked.
var qSettle = &statement{"seawall_settle", settleSQL("d.line IS NULL"), settleTypes}

// qSettleLined is for when they are. What waits for its turn or has not joined yet
// is settled by itself.
var qSettleLined = &statement{"seawall_settle_lined", settleSQL(fitsLined), settleTypes}

const fitsLined = "(d.state <> 1 OR d.line IS NULL OR d.reason = 'unknown')"

func settleSQL(fits string) string {
	return "WITH " + settleParts("true", fits) + settledIDs
}

// settledIDs is what the statement returns: which fences stand, and what was settled.
const settledIDs = " SELECT ARRAY(SELECT i FROM fence), ARRAY(SELECT id FROM done UNION ALL SELECT id FROM again)"

// settleParts are the parts of the statement; first is looked at before anything else.
//
// Deliveries are found by their numbers and by nothing else, and what becomes of each
// is taken from the columns by its place among the numbers, which are sorted. A join
// of the two would leave it to the planner where to begin. It begins with the table
// where that was nearly empty when it was last counted, as it is wherever deliveries
// keep up, and then reads all of it, with all that has ended since the last vacuum.
func settleParts(first, fits string) string {
	return strings.NewReplacer("FIRST", first, "FITS", fits,
		"ENDS", "width_bucket(d.id, $4::int8[])", "GOES_ON", "width_bucket(d.id, $11::int8[])").Replace(`fence AS MATERIALIZED (
	SELECT w.i FROM unnest($1::int4[], $2::text[], $3::int8[]) WITH ORDINALITY w(lane, node, token, i)
	JOIN lane l ON l.id = w.lane WHERE FIRST AND l.node = w.node AND l.token = w.token FOR SHARE OF l
), done AS (
	DELETE FROM delivery d
	WHERE d.id = ANY ($4::int8[]) AND ($5::int4[])[ENDS] = ANY (ARRAY(SELECT i FROM fence))
		AND (SELECT q.lane FROM queue q WHERE q.id = d.queue) = ($1::int4[])[($5::int4[])[ENDS]]
		AND coalesce(($8::int4[])[ENDS] = d.attempts + 1, true) AND FITS
	RETURNING d.*, ENDS AS i
), finish AS (
	INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created,
		reason, entity, rank, last, origin)
	SELECT part, id, event, queue, ($6::int2[])[i], ($7::timestamptz[])[i], size, route, revision, flags & ~12::int2,
		coalesce(($8::int4[])[i], attempts), round + (($8::int4[])[i] IS NOT NULL)::int4,
		since, created, ($9::text[])[i], entity, rank, ($10::bytea[])[i], origin FROM done
), again AS (
	UPDATE delivery d SET state = ($13::int2[])[GOES_ON] & 3, flags = (d.flags & ~12::int2) | (($13::int2[])[GOES_ON] & 12::int2),
		due = ($14::timestamptz[])[GOES_ON], attempts = coalesce(($15::int4[])[GOES_ON], d.attempts),
		round = d.round + (($15::int4[])[GOES_ON] IS NOT NULL)::int4, reason = ($16::text[])[GOES_ON]
	WHERE d.id = ANY ($11::int8[]) AND ($12::int4[])[GOES_ON] = ANY (ARRAY(SELECT i FROM fence))
		AND (SELECT q.lane FROM queue q WHERE q.id = d.queue) = ($1::int4[])[($12::int4[])[GOES_ON]]
		AND coalesce(($15::int4[])[GOES_ON] = d.attempts + 1, true) AND FITS
	RETURNING d.*, ($15::int4[])[GOES_ON] AS n, ($17::bytea[])[GOES_ON] AS data
), tried AS (
	INSERT INTO attempt (part, delivery, n, data) SELECT part, id, n, data FROM again WHERE n IS NOT NULL
)`)
}

var settleTypes = []uint32{oidInt4, oidText, oidInt8,
	oidInt8, oidInt4, oidInt2, oidTime, oidInt4, oidText, oidBytes,
	oidInt8, oidInt4, oidInt2, oidTime, oidInt4, oidText, oidBytes}
