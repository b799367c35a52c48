package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// What is looked for by entity and system is found by the entity: an entity has few
// links, and a planner that knows none might go through all of a system.

var (
	// Two that write links wait for each other by these, in one order: what is unique
	// about a link is so in two ways, and rows alone would have them wait in a circle.
	qLockLinks = &statement{"seawall_lock_links", "SELECT pg_advisory_xact_lock(x.key) FROM (SELECT unnest($1::int8[]) AS key) x", []uint32{oidInt8}}

	qLockAliases = &statement{name: "seawall_lock_aliases", sql: fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(1936025975, %d)", lockAliases)}

	// target is what an entity is by now.
	target = "coalesce((SELECT a.target FROM alias a WHERE a.entity = x.entity), x.entity)"

	linkColumns = `(SELECT ` + target + ` AS entity, x.system, x.record, x.name, x.at, x.by
	FROM (SELECT unnest($1::text[]) AS entity, unnest($2::text[]) AS system, unnest($3::text[]) AS record, unnest($4::text[]) AS name,
		unnest($5::timestamptz[]) AS at, unnest($6::text[]) AS by) x OFFSET 0)`
	linkTypes = []uint32{oidText, oidText, oidText, oidText, oidTime, oidText}

	qTeach = &statement{"seawall_teach", `INSERT INTO link (entity, system, record, name, at, by)
	SELECT x.entity, x.system, x.record, x.name, x.at, x.by FROM ` + linkColumns + ` x ON CONFLICT DO NOTHING`, linkTypes}

	// What did not come to stand is a conflict.
	qConflicts = &statement{"seawall_link_conflicts", `INSERT INTO action (at, by, what, target, detail)
	SELECT x.at, x.by, 'link.conflict', x.entity, jsonb_strip_nulls(jsonb_build_object('system', x.system, 'record', x.record,
		'has', (SELECT l.record FROM link l WHERE l.entity = x.entity AND l.system || '' = x.system),
		'of', (SELECT l.entity FROM link l WHERE l.system = x.system AND l.record = x.record AND l.name = x.name AND l.entity <> x.entity)))
	FROM ` + linkColumns + ` x WHERE (SELECT l.id FROM link l WHERE l.entity = x.entity AND l.system = x.system AND l.record = x.record) IS NULL`, linkTypes}

	// A record that is another entity's is left to it.
	qLearn = &statement{"seawall_learn", `INSERT INTO link AS l (entity, system, record, name, at, by)
	SELECT DISTINCT ON (x.entity, x.system) x.entity, x.system, x.record, x.name, x.at, x.by FROM ` + linkColumns + ` x
	WHERE (SELECT o.id FROM link o WHERE o.system = x.system AND o.record = x.record AND o.name = x.name AND o.entity <> x.entity) IS NULL
	ON CONFLICT (entity, system) DO UPDATE SET record = excluded.record, at = excluded.at, by = excluded.by WHERE l.record <> excluded.record`, linkTypes}

	qForget = &statement{"seawall_forget", `DELETE FROM link l USING ` + linkColumns + ` x
	WHERE l.entity = x.entity AND l.system = x.system AND l.record = x.record`, linkTypes}

	qAwait = &statement{"seawall_await", `INSERT INTO unresolved (event, name, system, record, until)
	SELECT unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::timestamptz[]) ON CONFLICT DO NOTHING`,
		[]uint32{oidUUID, oidText, oidText, oidText, oidTime}}
)

// lockLinks has others wait who write these links, or merge entities.
func lockLinks(ls []seawall.Link) []request {
	keys := map[int64]bool{}
	for _, l := range ls {
		name, _ := seawall.EntityName(l.Entity)
		for _, k := range []string{"e\x00" + l.Entity + "\x00" + l.System, "r\x00" + name + "\x00" + l.System + "\x00" + l.Record} {
			h := fnv.New64a()
			h.Write([]byte(k))
			keys[int64(h.Sum64())] = true
		}
	}
	sorted := make([]int64, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.Sort(sorted)
	return []request{{st: qLockAliases}, {qLockLinks, ints(sorted), nil}}
}

func fillLinks(ls []seawall.Link, now time.Time) func(*columns) {
	return func(cs *columns) {
		for _, l := range ls {
			name, _ := seawall.EntityName(l.Entity)
			at := l.At
			if at.IsZero() {
				at = now
			}
			cs.row(0).word(l.Entity).word(l.System).word(l.Record).word(name).time(at).text(l.By)
		}
	}
}

// teach writes links that events say: the first one stands.
func teach(ls []seawall.Link, now time.Time) []request {
	if len(ls) == 0 {
		return nil
	}
	return append(lockLinks(ls), request{qTeach, fillLinks(ls, now), nil}, request{qConflicts, fillLinks(ls, now), nil})
}

// learn writes links that outcomes say: each stands in place of the one before.
func learn(ls, gone []seawall.Link, now time.Time) (rs []request) {
	if len(ls)+len(gone) == 0 {
		return nil
	}
	rs = append(lockLinks(slices.Concat(ls, gone)), request{qForget, fillLinks(gone, now), nil})
	for _, wave := range waves(ls) {
		rs = append(rs, request{qLearn, fillLinks(wave, now), nil}, request{qConflicts, fillLinks(wave, now), nil})
	}
	return rs
}

// waves splits links so that no two of one are about the same record, or the same
// entity and system; the earlier ones first.
func waves(ls []seawall.Link) (out [][]seawall.Link) {
	last := map[[3]string]int{} // the wave after the last one that has it
	for _, l := range ls {
		name, _ := seawall.EntityName(l.Entity)
		a, b := [3]string{"", l.Entity, l.System}, [3]string{name, l.System, l.Record}
		n := max(last[a], last[b])
		last[a], last[b] = n+1, n+1
		if n == len(out) {
			out = append(out, nil)
		}
		out[n] = append(out[n], l)
	}
	return out
}

// await notes events that wait for a link.
func await(us []unresolved) []request {
	if len(us) == 0 {
		return nil
	}
	return []request{{qAwait, func(cs *columns) {
		for _, u := range us {
			cs.row(0).uuid(u.event).word(u.Entity).word(u.System).word(u.Record.Record).time(u.Until)
		}
	}, nil}}
}

func (s *Store) Await(ctx context.Context, id seawall.EventID, r store.Record) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO unresolved (event, name, system, record, until) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
			[16]byte(id), legible(r.Entity), legible(r.System), legible(r.Record), r.Until)
		return err
	})
}

const qLinksOf = `SELECT l.entity, l.system, l.record, l.at, coalesce(l.by, '') FROM link l
	WHERE l.entity = coalesce((SELECT target FROM alias WHERE entity = $1), $1) ORDER BY l.system`

func (s *Store) LinksOf(ctx context.Context, entity string) ([]seawall.Link, error) {
	ls, err := linkRows(s.pool.Query(ctx, qLinksOf, legible(entity)))
	return ls, judge(err)
}

func linkRows(rows pgx.Rows, err error) ([]seawall.Link, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanLink)
}

func scanLink(row pgx.CollectableRow) (l seawall.Link, err error) {
	err = row.Scan(&l.Entity, &l.System, &l.Record, &l.At, &l.By)
	l.At = l.At.UTC()
	return l, err
}

func (s *Store) EntityOf(ctx context.Context, name, system, record string) (entity string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT entity FROM link WHERE record = $1 AND system = $2 AND name = $3",
		legible(record), legible(system), legible(name)).Scan(&entity)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return entity, judge(err)
}

const (
	listedLinks = "SELECT entity, system, record, at, coalesce(by, '') FROM link WHERE (entity, system) > ($1, $2) AND "
	inOrder     = " ORDER BY entity, system LIMIT "

	qListLinks  = listedLinks + "entity < $3" + inOrder + "$4"
	qLinksTo    = listedLinks + "entity < $3 AND record = $5" + inOrder + "$4"
	qLinksOfOne = listedLinks + "entity = $3" + inOrder + "$4"
)

func (s *Store) ListLinks(ctx context.Context, f store.LinkFilter, p store.Page) (store.List[seawall.Link], error) {
	from, end := named(f.Name)
	sql, args := qListLinks, []any{end}
	switch {
	case f.Entity != "":
		sql, args, from = qLinksOfOne, []any{legible(f.Entity)}, ""
	case f.Record != "":
		sql = qLinksTo
	}
	w := walk[seawall.Link]{kind: 'l', last: []string{from, ""}}
	w.read = func(last []string, n int) (pgx.Rows, error) {
		all := append([]any{last[0], last[1]}, append(args, n)...)
		if f.Record != "" && f.Entity == "" {
			all = append(all, legible(f.Record))
		}
		return s.pool.Query(ctx, sql, all...)
	}
	w.scan = func(row pgx.CollectableRow) (l seawall.Link, at []string, ok bool, err error) {
		l, err = scanLink(row)
		name, _ := seawall.EntityName(l.Entity)
		ok = (f.System == "" || l.System == f.System) && (f.Record == "" || l.Record == f.Record) && (f.Name == "" || name == f.Name)
		return l, []string{l.Entity, l.System}, ok, err
	}
	return w.page(p)
}

const (
	qTarget = "SELECT target FROM alias WHERE entity = $1"
	qOwner  = "SELECT entity FROM link WHERE record = $1 AND system = $2 AND name = $3 AND entity <> $4"
	qPut    = `INSERT INTO link AS l (entity, system, record, name, at, by) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (entity, system) DO UPDATE SET record = excluded.record, at = excluded.at, by = excluded.by`
	qFree = "DELETE FROM link l USING unnest($1::text[], $2::text[]) x(entity, system) WHERE l.entity = x.entity AND l.system || '' = x.system"
)

// targetOf is what an entity is by now.
func targetOf(ctx context.Context, q querier, entity string) (string, error) {
	to := entity
	err := q.QueryRow(ctx, qTarget, entity).Scan(&to)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return to, err
}

// PutLinks takes away what the entities had before it writes anything: what one gives
// up another may have.
func (s *Store) PutLinks(ctx context.Context, ls []seawall.Link, a seawall.Action) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockShared, lockAliases); err != nil {
			return err
		}
		put := make([]seawall.Link, len(ls))
		entities, systems := make([]string, len(ls)), make([]string, len(ls))
		for i, l := range ls {
			var err error
			if l.Entity, err = targetOf(ctx, tx, legible(l.Entity)); err != nil {
				return err
			}
			l.System, l.Record, l.By = legible(l.System), legible(l.Record), legible(l.By)
			put[i], entities[i], systems[i] = l, l.Entity, l.System
		}
		if len(put) > 0 {
			if err := s.within(tx).send(ctx, lockLinks(put)...); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, qFree, entities, systems); err != nil {
			return err
		}
		for _, l := range put {
			if err := putLink(ctx, tx, l, s.time()); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, a)
	})
}

// putLink writes one, unless the record is another entity's.
func putLink(ctx context.Context, tx pgx.Tx, l seawall.Link, now time.Time) error {
	name, _ := seawall.EntityName(l.Entity)
	var owner string
	err := tx.QueryRow(ctx, qOwner, l.Record, l.System, name, l.Entity).Scan(&owner)
	switch {
	case err == nil:
		return seawall.Errorf(seawall.ErrConflict, "%s is %s's record in %s, and cannot be %s's", l.Record, owner, l.System, l.Entity).
			WithHint("remove the link of %s first, or merge the two if they are one", owner)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	if l.At.IsZero() {
		l.At = now
	}
	_, err = tx.Exec(ctx, qPut, l.Entity, l.System, l.Record, name, l.At, orNull(l.By))
	return err
}

func (s *Store) Unlink(ctx context.Context, entity, system string, a seawall.Action) error {
	return s.change(ctx, func(tx pgx.Tx) error {
		to, err := targetOf(ctx, tx, legible(entity))
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, "DELETE FROM link WHERE entity = $1 AND system || '' = $2", to, legible(system))
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return seawall.Errorf(seawall.ErrNotFound, "%s has no link to %s", entity, system)
		}
		return s.record(ctx, tx, a)
	})
}

// memoMerges is the version of the set of aliases.
const memoMerges = "merges"

// Merge has all who write links wait, and whoever merges others.
func (s *Store) Merge(ctx context.Context, from, into string, a seawall.Action) error {
	from, into = legible(from), legible(into)
	name, _ := seawall.EntityName(from)
	if other, _ := seawall.EntityName(into); other != name {
		return seawall.Errorf(seawall.ErrInvalid, "%s and %s are entities of two names, which cannot be one", from, into)
	}
	return s.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockExclusive, lockAliases); err != nil {
			return err
		}
		is, err := targetOf(ctx, tx, from)
		if err != nil {
			return err
		}
		to, err := targetOf(ctx, tx, into)
		switch {
		case err != nil:
			return err
		case is != from && is == to:
			return nil // done already
		case from == into, to == from:
			return seawall.Errorf(seawall.ErrConflict, "%s is %s already", into, from).WithHint("merge another one into it, or name another one to merge it into")
		case is != from:
			return seawall.Errorf(seawall.ErrConflict, "%s was merged into %s", from, is).WithHint("merge that one")
		}
		dropped, err := mergeLinks(ctx, tx, from, to)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue("UPDATE alias SET target = $2 WHERE target = $1", from, to)
		b.Queue("INSERT INTO alias (entity, target) VALUES ($1, $2)", from, to)
		b.Queue("INSERT INTO memo (key, value) VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET value = memo.value + 1", memoMerges)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if len(dropped) > 0 {
			a.Detail = maps.Clone(a.Detail)
			if a.Detail == nil {
				a.Detail = map[string]string{}
			}
			a.Detail["dropped"] = strings.Join(dropped, ", ")
		}
		return s.record(ctx, tx, a)
	})
}

// mergeLinks gives one entity's links to another, as far as that has none to the same
// system, and tells which were dropped.
func mergeLinks(ctx context.Context, tx pgx.Tx, from, to string) (dropped []string, err error) {
	_, err = tx.Exec(ctx, `UPDATE link l SET entity = $2 WHERE entity = $1
		AND (SELECT o.id FROM link o WHERE o.entity = $2 AND o.system || '' = l.system) IS NULL`, from, to)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, "DELETE FROM link WHERE entity = $1 RETURNING system || ' ' || record", from)
	if err != nil {
		return nil, err
	}
	dropped, err = pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(dropped)
	return dropped, err
}

func (s *Store) Aliases(ctx context.Context, version int64) (all map[string]string, now int64, err error) {
	if now, err = number(ctx, s.pool, qMemo, memoMerges); err != nil || now == version {
		return nil, now, judge(err)
	}
	all = map[string]string{}
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if now, err = number(ctx, tx, qMemo, memoMerges); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT entity, target FROM alias")
		if err != nil {
			return err
		}
		var entity, target string
		_, err = pgx.ForEachRow(rows, []any{&entity, &target}, func() error { all[entity] = target; return nil })
		return err
	})
	return all, now, judge(err)
}

const qResolvable = `(SELECT u.event, u.name, u.system, u.record, u.until, l.entity FROM unresolved u
		CROSS JOIN LATERAL (SELECT entity FROM link WHERE record = u.record AND system = u.system AND name = u.name OFFSET 0) l LIMIT $2)
	UNION ALL (SELECT u.event, u.name, u.system, u.record, u.until, '' FROM unresolved u WHERE u.until <= $1
		AND (SELECT l.id FROM link l WHERE l.record = u.record AND l.system = u.system AND l.name = u.name) IS NULL ORDER BY u.until LIMIT $2) LIMIT $2`

func (s *Store) Resolvable(ctx context.Context, now time.Time, limit int) ([]store.Resolvable, error) {
	rows, err := s.pool.Query(ctx, qResolvable, now, limit)
	if err != nil {
		return nil, judge(err)
	}
	rs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r store.Resolvable, err error) {
		err = row.Scan((*[16]byte)(&r.Event), &r.Record.Entity, &r.Record.System, &r.Record.Record, &r.Record.Until, &r.Entity)
		r.Record.Until = r.Record.Until.UTC()
		return r, err
	})
	return rs, judge(err)
}
