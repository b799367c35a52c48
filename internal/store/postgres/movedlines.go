package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

func (s *Store) exportLines(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	rows, err := tx.Query(ctx, `SELECT id, destination, entity, queue, waiting, at, data FROM position
		WHERE id > $1 AND data IS NOT NULL ORDER BY id LIMIT $2`, out.After, limit)
	if err != nil {
		return err
	}
	var destinations, queues []int32
	out.Lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l store.MovedPosition, err error) {
		var destination, queue, waiting int32
		var data []byte
		if err := row.Scan(&l.ID, &destination, &l.Entity, &queue, &waiting, &l.At, &data); err != nil {
			return l, err
		}
		destinations, queues = append(destinations, destination), append(queues, queue)
		l.Position.Position, err = pack.ParsePosition(data)
		l.Waiting, l.At = int(waiting), l.At.UTC()
		return l, err
	})
	if err != nil {
		return err
	}
	for i := range out.Lines {
		l := &out.Lines[i]
		q, err := s.names.line(ctx, queues[i])
		if err != nil {
			return err
		}
		l.Queue = store.Place{Lane: q.Lane, Destination: q.destination}
		if l.Destination, err = s.names.text(ctx, destinations[i]); err != nil {
			return err
		}
	}
	if n := len(out.Lines); n > 0 {
		out.Next, out.More = out.Lines[n-1].ID, n == limit
	}
	return nil
}

func exportLinks(ctx context.Context, tx pgx.Tx, out *store.Chunk, limit int) error {
	rows, err := tx.Query(ctx, `SELECT id, entity, system, record, at, coalesce(by, '') FROM link WHERE id > $1 ORDER BY id LIMIT $2`, out.After, limit)
	if err != nil {
		return err
	}
	out.Links, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l store.MovedLink, err error) {
		err = row.Scan(&l.ID, &l.Entity, &l.System, &l.Record, &l.At, &l.By)
		l.At = l.At.UTC()
		return l, err
	})
	if n := len(out.Links); n > 0 {
		out.Next, out.More = out.Links[n-1].ID, n == limit
	}
	return err
}

func exportUnresolved(ctx context.Context, tx pgx.Tx, found []eventRow, out []store.MovedEvent) error {
	ids, at := make([][16]byte, len(found)), map[[16]byte]int{}
	for i := range found {
		ids[i], at[found[i].id] = found[i].id, i
	}
	rows, err := tx.Query(ctx, "SELECT event, name, system, record, until FROM unresolved WHERE event = ANY ($1::uuid[])", ids)
	if err != nil {
		return err
	}
	var id [16]byte
	var r store.Record
	_, err = pgx.ForEachRow(rows, []any{&id, &r.Entity, &r.System, &r.Record, &r.Until}, func() error {
		r.Until = r.Until.UTC()
		out[at[id]].Unresolved = new(r)
		return nil
	})
	return err
}

func exportAliases(ctx context.Context, tx pgx.Tx, r *store.Rest) (err error) {
	if r.Merges, err = number(ctx, tx, qMemo, memoMerges); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, "SELECT entity, target FROM alias ORDER BY entity")
	if err != nil {
		return err
	}
	r.Aliases, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a store.Alias, err error) {
		return a, row.Scan(&a.Entity, &a.Into)
	})
	if len(r.Aliases) == 0 {
		r.Aliases = nil
	}
	return err
}

// importLines makes the rows of positions and links.
func (s *Store) importLines(ctx context.Context, c *store.Chunk) (tables, error) {
	position := &table{name: "position", columns: []string{"id", "destination", "entity", "queue", "head", "waiting", "wake", "at", "data"}}
	for i := range c.Lines {
		l := &c.Lines[i]
		q, err := s.names.queue(ctx, line{l.Queue.Destination, l.Queue.Lane})
		if err != nil {
			return nil, err
		}
		destination, err := s.names.id(ctx, l.Destination)
		if err != nil {
			return nil, err
		}
		position.add(l.ID, destination, legible(l.Entity), q.id, l.Head.Key, int32(l.Waiting), orNull(wakeOf(&l.Position.Position)), l.At,
			pack.Position(&l.Position.Position))
	}
	link := &table{name: "link", columns: []string{"id", "entity", "system", "record", "name", "at", "by"}}
	for _, l := range c.Links {
		name, _ := seawall.EntityName(l.Entity)
		link.add(l.ID, legible(l.Entity), legible(l.System), legible(l.Record), legible(name), l.At, orNull(legible(l.By)))
	}
	return tables{position, link}, nil
}

const (
	// Numbers that are given from now on come after those that there are.
	qLineNumbers = `SELECT setval('position_id_seq', greatest((SELECT max(id) FROM position), 1)),
		setval('link_id_seq', greatest((SELECT max(id) FROM link), 1))`

	// Deliveries that have no order, but that others wait for, know their line here.
	qCounted = `UPDATE delivery d SET line = p.id FROM queue q, name n, position p WHERE d.line IS NULL AND d.flags & 8192::int2 <> 0
		AND q.id = coalesce(d.origin, d.queue) AND n.text = q.destination AND p.destination = n.id AND p.entity = d.entity`
	qCountedNew = `INSERT INTO position (destination, entity, queue, at) SELECT DISTINCT n.id, d.entity, q.id, now()
		FROM delivery d JOIN queue q ON q.id = coalesce(d.origin, d.queue) JOIN name n ON n.text = q.destination
		WHERE d.line IS NULL AND d.flags & 8192::int2 <> 0 AND d.entity IS NOT NULL ON CONFLICT DO NOTHING`
)

func importAliases(ctx context.Context, tx pgx.Tx, r *store.Rest) error {
	for _, a := range r.Aliases {
		if _, err := tx.Exec(ctx, "INSERT INTO alias (entity, target) VALUES ($1, $2)", legible(a.Entity), legible(a.Into)); err != nil {
			return err
		}
	}
	if r.Merges != 0 {
		if _, err := tx.Exec(ctx, qSetMemo, memoMerges, r.Merges); err != nil {
			return err
		}
	}
	for _, sql := range []string{qLineNumbers, qCountedNew, qCounted} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
