package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	lib "modernc.org/sqlite/lib"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/internal/store/schema"
	"github.com/seawall-dev/seawall/seawall"
)

// maxProblems bounds how many a check names of one kind.
const maxProblems = 20

// Check looks through the store at path, which may be served meanwhile, and
// returns what is wrong with it, in plain words: SQLite's own integrity check,
// then whether the tables agree with each other and their packed columns can be
// read. It reads the whole file and changes nothing. A store of an earlier version is given
// SQLite's check alone. An error means that it could not look.
func Check(ctx context.Context, path string) (problems []string, err error) {
	if err = exists(path); err == nil {
		problems, err = check(ctx, path)
	}
	if err != nil {
		return nil, fmt.Errorf("check store %s: %w", path, err)
	}
	return problems, nil
}

func check(ctx context.Context, path string) (problems []string, err error) {
	c, err := openConn(path, true)
	if err != nil {
		return damaged(err)
	}
	defer c.close()
	defer c.interruptedBy(ctx)()
	layout, err := c.layout()
	if err != nil {
		return damaged(err)
	}
	problems, err = c.integrity()
	if err == nil && len(problems) == 0 && layout == newestLayout() {
		problems, err = c.crossCheck(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		more, err := damaged(err)
		return append(problems, more...), err
	}
	return problems, nil
}

// damaged makes an error by which SQLite says that the file is not sound a
// problem found.
func damaged(err error) ([]string, error) {
	switch code(err) & 0xff {
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return []string{err.Error()}, nil
	}
	return nil, err
}

// interruptedBy ends what c runs once ctx does; it must be released before c is
// closed.
func (c *conn) interruptedBy(ctx context.Context) (release func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		lib.Xsqlite3_interrupt(c.tls, c.db)
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

// layout returns the number of the file's layout, if it is a store that this
// version can read.
func (c *conn) layout() (int64, error) {
	rows, err := c.column("SELECT max(version_id) FROM goose_db_version")
	switch code(err) & 0xff {
	case 0:
	case lib.SQLITE_ERROR:
		return 0, seawall.Errorf(seawall.ErrInvalid, "it is an SQLite file, but not one of the gateway's")
	default:
		return 0, err
	}
	n, _ := strconv.ParseInt(strings.Join(rows, ""), 10, 64)
	return n, schema.State{Version: n, Newest: newestLayout()}.Serves()
}

// newestLayout is the number of the last migration.
func newestLayout() (newest int64) {
	files, _ := fs.ReadDir(migrations, ".")
	for _, f := range files {
		digits, _, _ := strings.Cut(f.Name(), "_")
		n, _ := strconv.ParseInt(digits, 10, 64)
		newest = max(newest, n)
	}
	return newest
}

// integrity is SQLite's own check: pages, b-trees, indexes, constraints.
func (c *conn) integrity() ([]string, error) {
	lines, err := c.column("PRAGMA integrity_check(" + strconv.Itoa(maxProblems) + ")")
	if len(lines) == 1 && lines[0] == "ok" {
		lines = nil
	}
	return lines, err
}

// column runs a query and returns its first column.
func (c *conn) column(sql string) (lines []string, err error) {
	st := c.prepare(sql)
	defer st.finalize()
	for st.next() {
		lines = append(lines, st.getText())
	}
	return lines, st.done()
}

// rules are what the tables promise each other: each selects the ids of rows that
// break it.
var rules = []struct{ broken, sql string }{
	{"delivery %s waits, but its event is not there",
		"SELECT id FROM unfinished d WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = d.id >> 15)"},
	{"delivery %s has ended, but its event is not there",
		"SELECT id FROM finished d WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = d.id >> 15)"},
	{"delivery %s waits and has ended",
		"SELECT id FROM unfinished d WHERE EXISTS (SELECT 1 FROM finished WHERE id = d.id)"},
	{"delivery %s waits in a state that it cannot be in", "SELECT id FROM unfinished WHERE state NOT BETWEEN 0 AND 2"},
	{"delivery %s has ended in a state that it cannot be in", "SELECT id FROM finished WHERE state NOT BETWEEN 3 AND 6"},
	{"delivery %s is in a queue that is not there",
		"SELECT id FROM unfinished WHERE queue NOT IN (SELECT id FROM queue) UNION ALL SELECT id FROM finished WHERE queue NOT IN (SELECT id FROM queue)"},
	{"delivery %s was first in a queue that is not there",
		`SELECT id FROM unfinished WHERE origin NOT IN (SELECT id FROM queue) UNION ALL SELECT id FROM finished WHERE origin NOT IN (SELECT id FROM queue)`},
	{"an answer belongs to delivery %s, which is not there",
		`SELECT delivery FROM answer a WHERE NOT EXISTS (SELECT 1 FROM unfinished WHERE id = a.delivery)
			AND NOT EXISTS (SELECT 1 FROM finished WHERE id = a.delivery)`},
	{"delivery %s came by a route that has no name",
		"SELECT id FROM unfinished WHERE route NOT IN (SELECT id FROM name) UNION ALL SELECT id FROM finished WHERE route NOT IN (SELECT id FROM name)"},
	{"an attempt belongs to delivery %s, which is not there",
		`SELECT DISTINCT delivery FROM attempt a WHERE NOT EXISTS (SELECT 1 FROM unfinished WHERE id = a.delivery)
			AND NOT EXISTS (SELECT 1 FROM finished WHERE id = a.delivery)`},
	{"event %s has an id that is none", "SELECT seq FROM event WHERE length(uid) <> 16"},
	{"event %s came from a source that has no name", "SELECT seq FROM event WHERE source NOT IN (SELECT id FROM name)"},
	{"a dedupe key stands for event %s, which is not there",
		"SELECT event FROM dedupe d WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = d.event)"},
	{"repeats are counted of event %s, which is not there",
		"SELECT event FROM repeat d WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = d.event)"},
	{"an arrival repeated event %s, which is not there",
		"SELECT event FROM arrival a WHERE event IS NOT NULL AND NOT EXISTS (SELECT 1 FROM event WHERE seq = a.event)"},
	{"delivery %s is in a line that is not there", "SELECT id FROM unfinished d WHERE line IS NOT NULL AND NOT EXISTS (SELECT 1 FROM position WHERE id = d.line)"},
	{"delivery %s has an order and is in no line",
		"SELECT id FROM unfinished WHERE line IS NULL AND entity IS NOT NULL AND flags & 96 <> 0 AND (state <> 1 OR reason IN ('earlier', 'settle', 'prerequisite', 'late'))"},
	{"delivery %s may be sent though it is not its turn",
		`SELECT id FROM unfinished d WHERE line IS NOT NULL AND state <> 1 AND flags & 96 <> 0
			AND NOT EXISTS (SELECT 1 FROM position WHERE id = d.line AND head = d.id)`},
	{"position %s is of a destination or a queue that is not there",
		"SELECT id FROM position WHERE destination NOT IN (SELECT id FROM name) OR queue NOT IN (SELECT id FROM queue)"},
	{"in the line of position %s others wait than it counts",
		"SELECT id FROM position p WHERE waiting <> (SELECT count(*) FROM unfinished WHERE line = p.id AND state = 1 AND reason IN ('earlier', 'settle'))"},
	{"in the line of position %s it is the turn of one that is not there",
		"SELECT id FROM position p WHERE head <> 0 AND NOT EXISTS (SELECT 1 FROM unfinished WHERE id = p.head AND line = p.id)"},
	{"the line of position %s is held up by one that is not dead",
		"SELECT id FROM position p WHERE block IS NOT NULL AND NOT EXISTS (SELECT 1 FROM finished WHERE id = p.block AND state = 4)"},
	{"in the line of position %s some wait, and nothing will give one its turn",
		`SELECT id FROM position p WHERE head = 0 AND block IS NULL AND waiting > 0 AND NOT EXISTS
			(SELECT 1 FROM unfinished WHERE line = p.id AND state = 1 AND reason IN ('earlier', 'settle') AND due < 253370764800000000)`},
	{"event %s waits to learn whose its record is, and is not there",
		"SELECT event FROM unresolved u WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = u.event)"},
	{"link %s is of an entity that was merged into another", "SELECT id FROM link WHERE entity IN (SELECT entity FROM alias)"},
	{"%s was merged into an entity that was merged into another", "SELECT entity FROM alias WHERE target IN (SELECT entity FROM alias)"},
	{"the next event would get the number of one before, %s",
		`SELECT max(event) FROM dedupe HAVING max(event) > max(ifnull((SELECT max(seq) FROM event), 0), ifnull((SELECT value FROM memo WHERE key = 'seq'), 0))`},
}

// crossCheck looks whether the tables agree, and whether what is packed in them
// can be read. Each query has a snapshot of its own, so that the log is held no
// longer than need be.
func (c *conn) crossCheck(ctx context.Context) (problems []string, err error) {
	for _, r := range rules {
		if err := ctx.Err(); err != nil { // an interrupt counts for what runs already
			return problems, err
		}
		ids, err := c.column(r.sql + " LIMIT " + strconv.Itoa(maxProblems))
		for _, id := range ids {
			problems = append(problems, fmt.Sprintf(r.broken, id))
		}
		if err != nil {
			return problems, err
		}
	}
	gone, err := c.missing(maxProblems)
	for _, key := range gone {
		problems = append(problems, fmt.Sprintf("delivery %d of event %d is missing", keyN(key), keyEvent(key)))
	}
	if err != nil {
		return problems, err
	}
	more, err := c.unreadable(ctx)
	return append(problems, more...), err
}

// unreadable reads every packed column.
func (c *conn) unreadable(ctx context.Context) (problems []string, err error) {
	for _, p := range []struct {
		what, sql string
		parse     func([]byte) error
	}{
		{"the plan of event", "SELECT seq, plan FROM event", func(b []byte) error { _, err := pack.ParsePlan(b); return err }},
		{"the request of event", "SELECT seq, request FROM event", func(b []byte) error { return pack.ParseRequest(b, &seawall.Event{}, true) }},
		{"the last attempt of delivery", "SELECT id, last FROM finished WHERE last IS NOT NULL", func(b []byte) error { _, err := pack.ParseAttempt(b); return err }},
		{"the headers of the answer to delivery", "SELECT delivery, headers FROM answer WHERE headers IS NOT NULL", func(b []byte) error { _, err := pack.ParseHeaders(b); return err }},
		{"what is said of the deliveries of event", "SELECT seq, fresh FROM event WHERE fresh IS NOT NULL",
			func(b []byte) error { return (&saying{said: b}).each(func(int64, fresh) error { return nil }) }},
		{"what is kept of position", "SELECT id, data FROM position", func(b []byte) error { _, err := pack.ParsePosition(b); return err }},
		{"an attempt of delivery", "SELECT delivery, data FROM attempt", func(b []byte) error { _, err := pack.ParseAttempt(b); return err }},
	} {
		st, found := c.prepare(p.sql), 0
		for found < maxProblems && ctx.Err() == nil && st.next() {
			id := st.getInt()
			if err := p.parse(st.peek()); err != nil {
				problems = append(problems, fmt.Sprintf("%s %d cannot be read: %v", p.what, id, err))
				found++
			}
		}
		err := st.done()
		st.finalize()
		if err != nil {
			return problems, err
		}
	}
	return problems, nil
}
