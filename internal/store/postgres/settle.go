package postgres

import (
	"context"
	"slices"

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
}

// settleCall is one call of Settle.
type settleCall struct{ ss []settlement }

// careful tells whether a call needs more than the one statement.
func (c *settleCall) careful() bool {
	return slices.ContainsFunc(c.ss, func(s settlement) bool { return s.rare() || len(s.outcomes) > 0 || s.Answer != nil })
}

// rare tells whether the statement does not fit it.
func (st *settlement) rare() bool { return st.Disable != "" || st.Move != nil || st.key == 0 }

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
type settler struct{ session }

func (w *settler) flush(ctx context.Context, calls []*settleCall) []error {
	errs := make([]error, len(calls))
	quick, careful := sortOut(calls)
	w.each(calls, quick, errs, func(calls []*settleCall) error { return w.quick(ctx, calls) })
	for _, i := range quick {
		if errs[i] == nil && slices.ContainsFunc(calls[i].ss, func(s settlement) bool { return !s.answered }) {
			careful = append(careful, i)
		}
	}
	slices.Sort(careful)
	w.each(calls, careful, errs, func(calls []*settleCall) error { return w.careful(ctx, calls) })
	return errs
}

// sortOut finds the calls that are one statement, and the others: those with
// more to write, and those about a delivery that a call before them is about.
func sortOut(calls []*settleCall) (quick, careful []int) {
	seen := make(map[seawall.DeliveryID]bool, len(calls))
	for i, call := range calls {
		later := call.careful()
		for j := range call.ss {
			later = later || seen[call.ss[j].Delivery]
			seen[call.ss[j].Delivery] = true
		}
		if later {
			careful = append(careful, i)
		} else {
			quick = append(quick, i)
		}
	}
	return quick, careful
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
	var ss []*settlement
	for _, call := range calls {
		for i := range call.ss {
			ss = append(ss, &call.ss[i])
		}
	}
	err := w.settle(ctx, ss, w.run)
	if err == nil {
		w.s.stats.committed(len(calls))
	}
	return err
}

// careful writes what is left unanswered of the calls in a transaction.
func (w *settler) careful(ctx context.Context, calls []*settleCall) error {
	var todo []*settlement
	for _, call := range calls {
		for i := range call.ss {
			if s := &call.ss[i]; !s.answered {
				todo = append(todo, s)
			}
		}
	}
	again := false
	err := w.transaction(ctx, func(q querier) error {
		for _, s := range todo {
			s.answered = false
			for i := range s.outcomes {
				if again { // perhaps because a day was given up this moment
					s.outcomes[i].part = 0
				}
			}
		}
		again = true
		for _, ss := range rounds(todo) {
			if err := w.round(ctx, q, ss); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		w.s.stats.committed(len(calls))
		return nil
	}
	for _, s := range todo {
		s.answered = false
	}
	return err
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
// fits the statement by it, the others one by one, and then what comes with
// those that took effect.
func (w *settler) round(ctx context.Context, q querier, ss []*settlement) error {
	var plain []*settlement
	for _, s := range ss {
		if !s.rare() {
			plain = append(plain, s)
		}
	}
	if len(plain) > 0 {
		if err := w.settle(ctx, plain, w.exec); err != nil {
			return err
		}
	}
	var outcomes []*acceptance
	var answers []*settlement
	for _, s := range ss {
		came := true
		if !s.answered {
			var err error
			if came, err = w.s.settleOne(ctx, q, s); err != nil {
				return err
			}
		}
		if came && *s.out == store.Done {
			for i := range s.outcomes {
				outcomes = append(outcomes, &s.outcomes[i])
			}
			if s.Answer != nil {
				answers = append(answers, s)
			}
		}
	}
	if err := addAnswers(ctx, q, answers); err != nil {
		return err
	}
	if len(outcomes) == 0 {
		return nil
	}
	repeats, err := w.accept(ctx, outcomes, w.exec)
	if err != nil || len(repeats) == 0 {
		return err
	}
	return w.repeated(ctx, q, repeats)
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
var qSettle = &statement{"seawall_settle", `WITH fence AS MATERIALIZED (
	SELECT w.i FROM unnest($1::int4[], $2::text[], $3::int8[]) WITH ORDINALITY w(lane, node, token, i)
	JOIN lane l ON l.id = w.lane WHERE l.node = w.node AND l.token = w.token FOR SHARE OF l
), done AS (
	DELETE FROM delivery d USING (SELECT unnest($4::int8[]) AS id, unnest($5::int4[]) AS fence, unnest($6::int2[]) AS state,
		unnest($7::timestamptz[]) AS at, unnest($8::int4[]) AS n, unnest($9::text[]) AS reason, unnest($10::bytea[]) AS last) x, queue q
	WHERE d.id = x.id AND q.id = d.queue AND q.lane = ($1::int4[])[x.fence] AND (x.n IS NULL OR x.n = d.attempts + 1)
		AND (x.fence IN (SELECT i FROM fence)) IS TRUE
	RETURNING d.*, x.state AS to_state, x.at AS at, x.n AS n, x.reason AS why, x.last AS last
), finish AS (
	INSERT INTO finished (part, id, event, queue, state, finished, size, route, revision, flags, attempts, round, since, created,
		reason, entity, rank, last, origin)
	SELECT part, id, event, queue, to_state, at, size, route, revision, flags & ~12::int2, coalesce(n, attempts), round + (n IS NOT NULL)::int4,
		since, created, why, entity, rank, last, origin FROM done
), again AS (
	UPDATE delivery d SET state = x.state & 3, flags = d.flags & ~12::int2 | x.state & 12::int2, due = x.at, attempts = coalesce(x.n, d.attempts), round = d.round + (x.n IS NOT NULL)::int4,
		reason = x.reason
	FROM (SELECT unnest($11::int8[]) AS id, unnest($12::int4[]) AS fence, unnest($13::int2[]) AS state,
		unnest($14::timestamptz[]) AS at, unnest($15::int4[]) AS n, unnest($16::text[]) AS reason, unnest($17::bytea[]) AS data) x, queue q
	WHERE d.id = x.id AND q.id = d.queue AND q.lane = ($1::int4[])[x.fence] AND (x.n IS NULL OR x.n = d.attempts + 1)
		AND (x.fence IN (SELECT i FROM fence)) IS TRUE
	RETURNING d.id, d.part, x.n, x.data
), tried AS (
	INSERT INTO attempt (part, delivery, n, data) SELECT part, id, n, data FROM again WHERE n IS NOT NULL
)
SELECT ARRAY(SELECT i FROM fence), ARRAY(SELECT id FROM done UNION ALL SELECT id FROM again)`,
	[]uint32{oidInt4, oidText, oidInt8,
		oidInt8, oidInt4, oidInt2, oidTime, oidInt4, oidText, oidBytes,
		oidInt8, oidInt4, oidInt2, oidTime, oidInt4, oidText, oidBytes}}

// settle runs the statement for settlements of different deliveries and answers
// those that it fits: done, or fenced.
func (s *session) settle(ctx context.Context, ss []*settlement, run func(context.Context, *statement) ([][]byte, error)) error {
	fences := s.fillSettlements(ss)
	row, err := run(ctx, qSettle)
	if err != nil {
		return err
	}
	standing, err := parseInts(nil, row[0])
	if err != nil {
		return err
	}
	written, err := parseInts(nil, row[1])
	if err != nil {
		return err
	}
	stands := make(map[int32]bool, len(standing))
	for _, i := range standing {
		stands[int32(i)] = true
	}
	done := make(map[int64]bool, len(written))
	for _, key := range written {
		done[key] = true
	}
	for i, st := range ss {
		switch {
		case !stands[fences[i]]:
			*st.out, st.answered = store.Fenced, true
		case done[st.key]:
			*st.out, st.answered = store.Done, true
		}
	}
	return nil
}

// step is what the next attempt does, as flags have it.
func (st *settlement) step() int16 {
	if st.State != seawall.Pending {
		return 0
	}
	return int16(st.Step) << stepShift
}

// fence is what must stand for a settlement to have effect.
type fence struct {
	lane  int32
	node  string
	token int64
}

// fillSettlements makes the columns, and returns the number of each one's fence.
// Rows are locked in the order of their ids.
func (s *session) fillSettlements(ss []*settlement) []int32 {
	cs := &s.columns
	cs.reset(len(qSettle.types))
	numbers, fences := map[fence]int32{}, make([]int32, len(ss))
	var all []fence
	for _, st := range ss {
		f := fence{st.lane, st.Lease.Node, st.Lease.Token}
		if _, ok := numbers[f]; !ok {
			numbers[f] = 0
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b fence) int { return int(a.lane - b.lane) })
	for i, f := range all {
		numbers[f] = int32(i + 1)
		cs.row(atFences).int4(f.lane).word(f.node).int8(f.token)
	}
	order := make([]int, len(ss))
	for i, st := range ss {
		fences[i] = numbers[fence{st.lane, st.Lease.Node, st.Lease.Token}]
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(ss[a].key - ss[b].key) })
	for _, i := range order {
		st := ss[i]
		first, at := atFinal, st.At
		if !st.State.Final() {
			first = atAgain
			if at = st.Due; at.IsZero() {
				at = st.At
			}
		}
		cs.row(first).int8(st.key).int4(fences[i]).int2(int16(st.State) | st.step()).time(at)
		if st.Attempt != nil {
			cs.int4(int32(st.Attempt.N))
		} else {
			cs.null()
		}
		cs.text(st.Reason).blob(st.attempt)
	}
	return fences
}
