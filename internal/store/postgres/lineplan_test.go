package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// fillLines makes many lines, each with a head and two that wait, but for the first
// in which very many do; a link and a record that is looked for go with each.
const fillLines = `
DELETE FROM position; DELETE FROM link; DELETE FROM action; ALTER SEQUENCE position_id_seq RESTART;
INSERT INTO name (text) VALUES ('orders');
INSERT INTO lane (system, shard, node, token) VALUES ('orders', 0, 'n1', 1);
INSERT INTO queue (destination, lane) SELECT 'orders', id FROM lane;
INSERT INTO position (destination, entity, queue, head, waiting, at, data)
	SELECT 1, 'order/' || i, 1, i << 15 | 1, CASE WHEN i = 1 THEN {waiting} ELSE 2 END, now(), '\x0100000000000000' FROM generate_series(1::bigint, {lines}) i;
INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, entity, rank, line)
	SELECT i << 15 | 1, gen_random_uuid(), 0, 1, 0, now(), 500, 1, 1, 32, 0, 0, 'order/' || i, '\x73686f700010'::bytea, i FROM generate_series(1::bigint, {lines}) i;
INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, reason, entity, rank, line)
	SELECT (20000 + i) << 15 | 1, gen_random_uuid(), 1, 1, 1, CASE WHEN i % 100 = 0 THEN now() + i * interval '1 second' ELSE timestamptz '9999-01-01 00:00:00+00' END,
	500, 1, 1, 32, 0, 0, 'earlier', 'order/1', '\x73686f700011'::bytea || int8send(i), 1 FROM generate_series(1::bigint, {waiting}) i;
INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round, reason, entity, rank, line)
	SELECT (20000000 + i) << 15 | 1, gen_random_uuid(), 1, 1, 1, timestamptz '9999-01-01 00:00:00+00', 500, 1, 1, 32, 0, 0, 'earlier', 'order/' || 2 + i / 2,
	'\x73686f700011'::bytea || int8send(i), 2 + i / 2 FROM generate_series(0::bigint, 2 * {lines} - 3) i;
INSERT INTO link (entity, system, record, name, at) SELECT 'order/' || i, 'crm', 'deal/' || i, 'order', now() FROM generate_series(1, {lines}) i;
INSERT INTO unresolved (event, name, system, record, until) SELECT gen_random_uuid(), 'order', 'crm', 'none/' || i, now() + interval '1 hour' FROM generate_series(1, 1000) i;
`

// array is the literal of n numbers, from and every by.
func array(n int, number func(i int) any) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(number(i))
	}
	return "{" + strings.Join(out, ",") + "}"
}

// settled are the arguments of a statement that settles: half of n deliveries are
// delivered, half are tried again.
func settled(n, from int) []any {
	half := n / 2
	column := func(v any) string { return array(half, func(int) any { return v }) }
	keys := func(from int) string { return array(half, func(i int) any { return (from+i)<<15 | 1 }) }
	args := []any{"{1}", "{n1}", "{1}"}
	for i, state := range []int{3, 0} {
		args = append(args, keys(from+i*half), column(1), column(state), column(`"2026-11-24 12:00:00+00"`), column(1), column("NULL"), column(`"\\x00"`))
	}
	return args
}

// What is done for a line costs as much as is done, however many lines there are and
// however many wait in one: also by plans that were made when there were none.
func TestG7_ALongLineCostsTheOthersNothing(t *testing.T) {
	s := empty(t)
	c, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	const n, none = 100, "{}"
	ids := array(n, func(i int) any { return i + 1 })
	heads := array(n, func(i int) any { return (i+1)<<15 | 1 })
	waiting := array(n, func(i int) any { return (20000+200*i+1)<<15 | 1 })
	leaving := array(n, func(i int) any { return (700+i)<<15 | 1 })
	threes := array(n, func(int) any { return 3 })
	entities := array(n, func(i int) any { return fmt.Sprint("order/", i+1) })
	ones := array(n, func(int) any { return 1 })
	nulls := array(n, func(int) any { return "NULL" })
	never := array(n, func(int) any { return "\"9999-01-01 00:00:00+00\"" })
	at := array(n, func(int) any { return `"2026-11-24 12:00:00+00"` })
	now := time.Now()
	statements := []struct {
		name string
		sql  string
		most int // pages
		args []any
		p    prepared
	}{
		{"positions of deliveries", qLockPositions.sql, 14 * n, []any{heads, none, none, none}, prepared{}},
		{"positions of places", qLockPositions.sql, 14 * n, []any{none, ones, entities, none}, prepared{}},
		{"positions by number", qLockPositions.sql, 10 * n, []any{none, none, none, ids}, prepared{}},
		{"positions that are known", qLockIDs.sql, 10 * n, []any{ids}, prepared{}},
		{"positions of what is settled", qLockOf.sql, 14 * n, []any{heads}, prepared{}},
		{"heads", qHeads.sql, 24 * n, []any{none, ones, entities, none, array(1, func(int) any { return `"2026-11-24 12:00:00+00"` })}, prepared{}},
		{"rivals", qRivals.sql, 14 * n, []any{none, ones, entities, none}, prepared{}},
		{"the first of each", qFirsts.sql, 24 * n, []any{ids}, prepared{}},
		{"who follows", qFollowers.sql, 34 * n, []any{heads}, prepared{}},
		{"members", qMembers.sql, 10 * n, []any{heads}, prepared{}},
		{"who waits for a prerequisite", qAwaiting.sql, 4 * n, []any{ids}, prepared{}},
		{"those whose turn came", qHanded.sql, 16 * n, []any{heads}, prepared{}},
		{"what becomes of deliveries", qMoved.sql, 40 * n, []any{waiting, ones, nulls, never, ones, nulls}, prepared{}},
		{"what becomes of positions", qSetPositions.sql, 16 * n, []any{ids, ones, heads, ones, nulls, at, nulls}, prepared{}},
		{"what leaves its line", qMovedOut.sql, 40 * n, []any{leaving, threes, nulls, at, ones, nulls}, prepared{}},
		{"what is ripe", qRipe, 4 * n, []any{int32(1), now, int64(n)}, prepared{}},
		{"lines that wake", qWoken, 10, []any{int32(1), now, int64(n)}, prepared{}},
		{"what ripens next", qRipens, 20, []any{int32(1), now}, prepared{}},
		{"positions of an entity", qPositions, 20, []any{"order/77"}, prepared{}},
		{"entities", qEntities, 10 * n, []any{"", "\U0010FFFF", int32(0), int64(n)}, prepared{}},
		{"links of an entity", qLinksOf, 12, []any{"order/77"}, prepared{}},
		{"links", qListLinks, 2 * n, []any{"", "", "\U0010FFFF", int64(n)}, prepared{}},
		{"conflicts of links", qConflicts.sql, 20 * n, []any{entities, array(n, func(int) any { return "crm" }), entities, array(n, func(int) any { return "order" }), at, nulls}, prepared{}},
		{"links that are learned", qLearn.sql, 20 * n, []any{entities, array(n, func(int) any { return "crm" }), entities, array(n, func(int) any { return "order" }), at, nulls}, prepared{}},
		{"positions that may go", qDropLines, 12 * n, []any{ids, now}, prepared{}},
		{"what can be resolved", qResolvable, 12 * 1000, []any{now, int64(n)}, prepared{}},
		// These end what they settle, and so come last.
		{"what is settled elsewhere", qSettle.sql, 40 * n, settled(n, 1000), prepared{}},
		{"what is settled in lines", qSettleLined.sql, 60 * n, settled(n, 1000), prepared{}},
		{"what is settled with its lines", qSettleLocking.sql, 80 * n, settled(n, 1500), prepared{}},
	}
	for i := range statements {
		st := &statements[i]
		st.p = plan(t, c, i, pgx.TraceQueryStartData{SQL: st.sql, Args: st.args})
	}
	lines := filledEvents() / 2 // and ten times as many wait in one of them
	run(t, s, strings.NewReplacer("{lines}", fmt.Sprint(lines), "{waiting}", fmt.Sprint(10*lines)).Replace(fillLines))
	for _, st := range statements {
		pages, how := st.p.pages(t, c)
		t.Logf("%-30s %5d pages", st.name, pages)
		if pages > st.most {
			t.Errorf("%s: read %d pages, at most %d:\n%s", st.name, pages, st.most, how)
		}
		// Each row is found by an index, and not compared with all the others.
		for _, m := range regexp.MustCompile(`Rows Removed by Join Filter: (\d+)`).FindAllStringSubmatch(how, -1) {
			if removed, err := strconv.Atoi(m[1]); err != nil || removed > n {
				t.Errorf("%s: compared %s rows in vain (%v):\n%s", st.name, m[1], err, how)
			}
		}
	}
	// What is settled by lines was settled, or its plans say nothing.
	var ended int
	if err := c.QueryRow(t.Context(), "SELECT count(*) FROM finished WHERE id BETWEEN $1 AND $2", 1000<<15, 1600<<15).Scan(&ended); err != nil || ended != n {
		t.Errorf("%d were settled for good, want %d: %v", ended, n, err)
	}
}
