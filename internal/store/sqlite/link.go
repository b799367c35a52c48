package sqlite

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

// memoMerges counts what was merged.
const memoMerges = "merges"

// actionConflict is the action of a link that is not written, because another
// stands.
const actionConflict = "link.conflict"

const linkColumns = "id, entity, system, record, at, by"

var (
	qLinksOf  = newQuery("SELECT " + linkColumns + " FROM link WHERE entity = ? ORDER BY system")
	qLink     = newQuery("SELECT record FROM link WHERE entity = ? AND system = ?")
	qEntityOf = newQuery("SELECT entity FROM link WHERE name = ? AND system = ? AND record = ?")
	qPutLink  = newQuery(`INSERT INTO link (entity, system, record, name, at, by) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (entity, system) DO UPDATE SET record = excluded.record, at = excluded.at, by = excluded.by`)
	qDropLink  = newQuery("DELETE FROM link WHERE entity = ? AND system = ?")
	qMoveLink  = newQuery("UPDATE link SET entity = ? WHERE entity = ? AND system = ?")
	qListLinks = newQuery("SELECT " + linkColumns + ` FROM link INDEXED BY link_entity WHERE (entity, system) > (?1, ?2) AND entity < ?3
		AND (?4 = '' OR system = ?4) AND (?5 = '' OR record = ?5) ORDER BY entity, system LIMIT ?6`)

	qAlias     = newQuery("SELECT target FROM alias WHERE entity = ?")
	qAliases   = newQuery("SELECT entity, target FROM alias ORDER BY entity")
	qAddAlias  = newQuery("INSERT INTO alias (entity, target) VALUES (?, ?)")
	qMoveAlias = newQuery("UPDATE alias SET target = ? WHERE target = ?")
)

func scanLink(st *stmt) (id int64, l seawall.Link) {
	id = st.getInt()
	return id, seawall.Link{Entity: st.getText(), System: st.getText(), Record: st.getText(), At: st.getTime(), By: st.getText()}
}

// word runs a statement that selects one text; "" if it selects none.
func word(st *stmt) (text string, err error) {
	if st.next() {
		text = st.getText()
	}
	return text, st.done()
}

// really is what an entity is by now: itself, unless it was merged into another.
func (c *conn) really(entity string) (string, error) {
	target, err := word(c.use(qAlias).word(entity))
	if target == "" {
		target = entity
	}
	return target, err
}

func (s *Store) LinksOf(ctx context.Context, entity string) (ls []seawall.Link, err error) {
	err = s.read(ctx, func(c *conn) error {
		now, err := c.really(entity)
		if err != nil {
			return err
		}
		ls, err = c.linksOf(now)
		return err
	})
	return ls, err
}

func (c *conn) linksOf(entity string) (ls []seawall.Link, err error) {
	st := c.use(qLinksOf).word(entity)
	for st.next() {
		_, l := scanLink(st)
		ls = append(ls, l)
	}
	return ls, st.done()
}

func (s *Store) EntityOf(ctx context.Context, name, system, record string) (entity string, err error) {
	err = s.read(ctx, func(c *conn) error {
		entity, err = word(c.use(qEntityOf).word(name).word(system).word(record))
		return err
	})
	return entity, err
}

func (s *Store) ListLinks(ctx context.Context, f store.LinkFilter, p store.Page) (out store.List[seawall.Link], err error) {
	from, after, end := "", "", "\U0010FFFF"
	switch {
	case f.Entity != "":
		from, end = f.Entity, f.Entity+"\x00"
	case f.Name != "":
		from, end = f.Name+"/", f.Name+"0"
	}
	if name, _ := seawall.EntityName(f.Entity); f.Entity != "" && f.Name != "" && name != f.Name {
		return out, nil
	}
	if p.Cursor != "" {
		last, err := readWord(p.Cursor, 'l')
		if err != nil {
			return out, err
		}
		from, after = splitCursor(last)
	}
	limit := pageLimit(p)
	err = s.read(ctx, func(c *conn) error {
		out = store.List[seawall.Link]{}
		st := c.use(qListLinks).word(from).word(after).word(end).word(f.System).word(f.Record).int(int64(limit + 1))
		defer st.done()
		for st.next() {
			_, l := scanLink(st)
			if len(out.Items) == limit {
				last := out.Items[limit-1]
				out.Next = writeWord('l', strconv.Itoa(len(last.Entity))+" "+last.Entity+last.System)
				return nil
			}
			out.Items = append(out.Items, l)
		}
		return st.done()
	})
	return out, err
}

// splitCursor reads an entity and a system out of a cursor.
func splitCursor(s string) (entity, system string) {
	n := 0
	for i := range len(s) {
		if s[i] == ' ' {
			if rest := s[i+1:]; n <= len(rest) {
				return rest[:n], rest[n:]
			}
			break
		}
		n = n*10 + int(s[i]-'0')
	}
	return "", ""
}

// putLink writes a link in place of the one that its entity had. It returns whose
// the record is, if it is another's, and then writes nothing.
func (t *txn) putLink(l seawall.Link) (holder string, err error) {
	name, _ := seawall.EntityName(l.Entity)
	holder, err = word(t.use(qEntityOf).word(name).word(l.System).word(l.Record))
	if err != nil || holder != "" {
		if holder == l.Entity {
			holder = "" // it stands
		}
		return holder, err
	}
	if l.At.IsZero() {
		l.At = t.s.now()
	}
	if err := t.use(qPutLink).word(l.Entity).word(l.System).word(l.Record).word(name).int(l.At.UnixMicro()).text(l.By).exec(); err != nil {
		return "", err
	}
	return "", t.use(qToResolve).word(name).word(l.System).word(l.Record).exec()
}

// conflict records that a link was not written.
func (t *txn) conflict(l seawall.Link, stands string) error {
	at := l.At
	if at.IsZero() {
		at = t.s.now()
	}
	return t.record(seawall.Action{At: at, By: l.By, What: actionConflict, On: l.Entity,
		Detail: map[string]string{"system": l.System, "record": l.Record, "stands": stands}})
}

// teach writes a link that an event taught, unless another stands.
func (t *txn) teach(l seawall.Link) (err error) {
	if l.Entity, err = t.really(l.Entity); err != nil {
		return err
	}
	has, err := word(t.use(qLink).word(l.Entity).word(l.System))
	if err != nil || has == l.Record {
		return err
	}
	if has != "" {
		return t.conflict(l, l.Entity+" is "+has)
	}
	holder, err := t.putLink(l)
	if err == nil && holder != "" {
		err = t.conflict(l, l.Record+" is "+holder)
	}
	return err
}

// learn writes what a settlement says of links.
func (t *txn) learn(in *settlement) (err error) {
	for _, l := range in.Unlink {
		if l.Entity, err = t.really(l.Entity); err != nil {
			return err
		}
		has, err := word(t.use(qLink).word(l.Entity).word(l.System))
		if err == nil && has != "" && has == l.Record {
			err = t.dropLink(l.Entity, l.System)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range in.Links {
		if l.Entity, err = t.really(l.Entity); err != nil {
			return err
		}
		holder, err := t.putLink(l)
		if err == nil && holder != "" {
			err = t.conflict(l, l.Record+" is "+holder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) dropLink(entity, system string) error {
	return t.use(qDropLink).word(entity).word(system).exec()
}

func (s *Store) PutLinks(ctx context.Context, ls []seawall.Link, a seawall.Action) error {
	return s.write(ctx, 128*len(ls), func(t *txn) error {
		for _, l := range ls {
			var err error
			if l.Entity, err = t.really(l.Entity); err != nil {
				return err
			}
			holder, err := t.putLink(l)
			if err != nil {
				return err
			}
			if holder != "" {
				return seawall.Errorf(seawall.ErrConflict, "%s of %s is %s: it cannot be %s too", l.Record, l.System, holder, l.Entity).
					WithHint("remove that link first, or merge the two entities, if they are one")
			}
		}
		return t.record(a)
	})
}

func (s *Store) Unlink(ctx context.Context, entity, system string, a seawall.Action) error {
	return s.write(ctx, 128, func(t *txn) error {
		now, err := t.really(entity)
		if err != nil {
			return err
		}
		if err := t.dropLink(now, system); err != nil {
			return err
		}
		if t.changes() == 0 {
			return seawall.Errorf(seawall.ErrNotFound, "%s has no link to %s", entity, system)
		}
		return t.record(a)
	})
}

func (s *Store) Merge(ctx context.Context, from, into string, a seawall.Action) error {
	name, _ := seawall.EntityName(from)
	if other, _ := seawall.EntityName(into); other != name || name == "" || name == from {
		return seawall.Errorf(seawall.ErrInvalid, "%s and %s are not of one kind", from, into).
			WithHint("entities of one name can be merged: user/7 into user/12")
	}
	return s.write(ctx, 256, func(t *txn) error {
		was, err := t.really(from)
		if err != nil {
			return err
		}
		target, err := t.really(into)
		switch {
		case err != nil:
			return err
		case from == into || target == from:
			return seawall.Errorf(seawall.ErrConflict, "%s is %s already", into, from).WithHint("merge another one into it, or name another one to merge it into")
		case was == target:
			return nil // done already
		case was != from:
			return seawall.Errorf(seawall.ErrConflict, "%s was merged into %s already", from, was).
				WithHint("merge that one")
		}
		return t.merge(from, target, a)
	})
}

// merge makes from another name of into.
func (t *txn) merge(from, into string, a seawall.Action) error {
	a.Detail = maps.Clone(a.Detail)
	ls, err := t.linksOf(from)
	if err != nil {
		return err
	}
	for _, l := range ls {
		has, err := word(t.use(qLink).word(into).word(l.System))
		switch {
		case err != nil:
			return err
		case has == "":
			err = t.use(qMoveLink).word(into).word(from).word(l.System).exec()
		default:
			if a.Detail == nil {
				a.Detail = map[string]string{}
			}
			a.Detail["dropped "+l.System] = l.Record
			err = t.dropLink(from, l.System)
		}
		if err != nil {
			return err
		}
	}
	if err := t.use(qMoveAlias).word(into).word(from).exec(); err != nil {
		return err
	}
	if err := t.use(qAddAlias).word(from).word(into).exec(); err != nil {
		return err
	}
	n, err := one(t.use(qMemo).word(memoMerges))
	if err != nil {
		return err
	}
	if err := t.use(qSetMemo).word(memoMerges).int(n + 1).exec(); err != nil {
		return err
	}
	return t.record(a)
}

func (s *Store) Aliases(ctx context.Context, version int64) (all map[string]string, now int64, err error) {
	err = s.read(ctx, func(c *conn) error {
		all = nil
		if now, err = one(c.use(qMemo).word(memoMerges)); err != nil || now == version {
			return err
		}
		list, err := c.aliases()
		all = make(map[string]string, len(list))
		for _, a := range list {
			all[a.Entity] = a.Into
		}
		return err
	})
	return all, now, err
}

func (c *conn) aliases() (out []store.Alias, err error) {
	st := c.use(qAliases)
	for st.next() {
		out = append(out, store.Alias{Entity: st.getText(), Into: st.getText()})
	}
	return out, st.done()
}

var (
	qAddUnresolved  = newQuery("INSERT INTO unresolved (event, name, system, record, until, due) VALUES (?, ?, ?, ?, ?, ?)")
	qUnresolved     = newQuery("SELECT name, system, record, until FROM unresolved WHERE event = ?")
	qDropUnresolved = newQuery("DELETE FROM unresolved WHERE event = ?")
	qToResolve      = newQuery("UPDATE unresolved INDEXED BY unresolved_record SET due = 0 WHERE name = ? AND system = ? AND record = ? AND due <> 0")
	qResolvable     = newQuery(`SELECT e.uid, u.name, u.system, u.record, u.until, l.entity FROM unresolved u INDEXED BY unresolved_due
		JOIN event e ON e.seq = u.event LEFT JOIN link l ON l.name = u.name AND l.system = u.system AND l.record = u.record
		WHERE u.due <= ?1 AND (l.entity IS NOT NULL OR u.until <= ?1) ORDER BY u.due, u.event LIMIT ?2`)
)

// resolveOrTeach writes what a new event says of links, and waits for.
func (t *txn) resolveOrTeach(a *store.Acceptance, seq int64) error {
	for _, l := range a.Links {
		if err := t.teach(l); err != nil {
			return err
		}
	}
	if a.Unresolved == nil {
		return nil
	}
	return t.addUnresolved(a.Unresolved, seq)
}

func (t *txn) addUnresolved(r *store.Record, seq int64) error {
	entity, err := word(t.use(qEntityOf).word(r.Entity).word(r.System).word(r.Record))
	if err != nil {
		return err
	}
	due := r.Until.UnixMicro()
	if entity != "" {
		due = 0
	}
	return t.use(qAddUnresolved).int(seq).word(r.Entity).word(r.System).word(r.Record).int(r.Until.UnixMicro()).int(due).exec()
}

func (s *Store) Await(ctx context.Context, id seawall.EventID, r store.Record) error {
	return s.write(ctx, 128, func(t *txn) error {
		seq, err := t.eventSeq(id)
		if err != nil {
			return err
		}
		st := t.use(qUnresolved).int(seq)
		waits := st.next()
		if err := st.done(); err != nil || waits {
			return err
		}
		return t.addUnresolved(&r, seq)
	})
}

func (s *Store) Resolvable(ctx context.Context, now time.Time, limit int) (out []store.Resolvable, err error) {
	err = s.read(ctx, func(c *conn) error {
		out = nil
		st := c.use(qResolvable).int(now.UnixMicro()).int(int64(limit))
		defer st.done()
		for st.next() {
			var r store.Resolvable
			copy(r.Event[:], st.peek())
			r.Record = store.Record{Entity: st.getText(), System: st.getText(), Record: st.getText(), Until: st.getTime()}
			r.Entity = st.getText()
			out = append(out, r)
		}
		return st.done()
	})
	return out, err
}

func (s *Store) Resolve(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery) (done bool, err error) {
	plan := pack.Plan(ev.Decisions)
	err = s.write(ctx, len(plan)+256*len(ds), func(t *txn) error {
		done = false
		seq, err := t.eventSeq(ev.ID)
		if errors.Is(err, seawall.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.use(qDropUnresolved).int(seq).exec(); err != nil || t.changes() == 0 {
			return err
		}
		e, err := s.event(t.conn, seq)
		if err != nil {
			return err
		}
		e.Entity, e.Version = ev.Entity, ev.Version
		if err := t.use(qPlan).int(int64(ev.Routing)).blob(plan).text(ev.Entity).text(ev.Version).int(seq).exec(); err != nil {
			return err
		}
		for i := range ds {
			if err := t.resolved(e, &ds[i]); err != nil {
				return err
			}
		}
		done = true
		return nil
	})
	return done, err
}

// resolved plans a delivery anew that was held until its entity is known.
func (t *txn) resolved(e *seawall.Event, d *seawall.Delivery) error {
	key := deliveryKey(e.Seq, d.ID.N())
	now, found, err := t.standing(qUnfinishedNow, key)
	if err != nil || !found || now.state != seawall.Held || now.reason != seawall.ReasonUnresolved {
		return err // somebody ended it
	}
	if err := t.use(qUnqueue).int(key).exec(); err != nil {
		return err
	}
	t.moved(now.queue, seawall.Held, -1)
	if d.State.Final() && d.Finished.IsZero() {
		d.Finished = t.s.moment()
	}
	return t.addDelivery(key, d, e)
}
