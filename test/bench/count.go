package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// count is what an event costs beside time, counted in a run of its own.
type count struct {
	Contender string  `json:"contender"`
	Syncs     float64 `json:"syncs"`
	*ledger
	Top []statement `json:"top,omitempty"` // of the statements
}

// ledger is what the database says that an event cost. Every statement is at
// most one round trip.
type ledger struct {
	Statements   float64 `json:"statements"`
	Transactions float64 `json:"transactions"`
	Inserted     float64 `json:"rows_inserted"`
	Updated      float64 `json:"rows_updated"`
	Hot          float64 `json:"rows_updated_in_place"`
	Deleted      float64 `json:"rows_deleted"`
	WAL          float64 `json:"wal_bytes"`
	Records      float64 `json:"wal_records"`
	Images       float64 `json:"wal_page_images"`
	Writes       float64 `json:"wal_writes"`
}

// statement is one of those that take most of the database's time.
type statement struct {
	Calls float64 `json:"calls"`   // an event
	Took  float64 `json:"took_us"` // an event
	Rows  float64 `json:"rows"`    // an event
	Text  string  `json:"text"`
}

// count counts for each contender that starts from nothing.
func (b *bench) count(rep *report) error {
	for _, c := range rep.Contenders {
		if c.backlog || c.hot {
			continue
		}
		progress("counting what an event costs: %s", c.title)
		if c.engine == "postgres" {
			n, err := b.countPostgres(c)
			if err != nil {
				return err
			}
			rep.Counts = append(rep.Counts, n)
			continue
		}
		syncs, ok, err := b.countSyncs(c)
		if err != nil {
			return err
		}
		if ok {
			rep.Counts = append(rep.Counts, count{Contender: c.title, Syncs: syncs})
		}
	}
	return nil
}

// countPostgres takes what the server's statistics say before and after a
// stretch all out.
func (b *bench) countPostgres(c contender) (n count, err error) {
	dir := filepath.Join(b.dir, c.name+"-counts")
	t, err := b.begin(c, dir)
	if err != nil {
		return n, err
	}
	n, err = b.countStretch(t)
	n.Contender = c.title
	if endErr := t.end(); err == nil {
		err = endErr
	}
	return n, errors.Join(err, os.RemoveAll(dir))
}

func (b *bench) countStretch(t *trial) (n count, err error) {
	if _, err := b.pg.Exec(t.database, "CREATE EXTENSION pg_stat_statements"); err != nil {
		return n, err
	}
	if err := b.pg.track("top"); err != nil {
		return n, err
	}
	defer func() { err = errors.Join(err, b.pg.track("none")) }()
	before, err := b.pg.statistics(t.database)
	if err != nil {
		return n, err
	}
	if _, err := t.stretch(b.conns, 0, b.span); err != nil {
		return n, err
	}
	events := float64(t.acked)
	if n.ledger, n.Top, err = b.pg.statements(t.database, events); err != nil {
		return n, err
	}
	// Sessions tell the last of what they did when they end.
	err = t.server.stop()
	t.server = nil
	if err != nil {
		return n, err
	}
	after, err := b.pg.statistics(t.database)
	if err != nil {
		return n, err
	}
	per := func(name string) float64 { return (after[name] - before[name]) / events }
	n.Syncs = per("wal_sync")
	l := n.ledger
	l.Transactions, l.Inserted, l.Updated, l.Hot, l.Deleted = per("xact_commit"), per("ins"), per("upd"), per("hot"), per("del")
	l.WAL, l.Records, l.Images, l.Writes = per("wal_bytes"), per("wal_records"), per("wal_fpi"), per("wal_write")
	return n, nil
}

// track has pg_stat_statements count, or not, in every session.
func (p *postgres) track(what string) error {
	for _, sql := range []string{fmt.Sprintf("ALTER SYSTEM SET pg_stat_statements.track = '%s'", what), "SELECT pg_reload_conf()"} {
		if _, err := p.Exec("postgres", sql); err != nil {
			return err
		}
	}
	return nil
}

// statistics are the server's counters. A session may keep what it did in the
// last ten seconds to itself.
func (p *postgres) statistics(database string) (map[string]float64, error) {
	m, err := p.numbers(database, []string{"wal_bytes", "wal_records", "wal_fpi", "wal_write", "wal_sync"}, "pg_stat_wal")
	if err != nil {
		return nil, err
	}
	for from, columns := range map[string][]string{
		"pg_stat_database WHERE datname = current_database()": {"xact_commit"},
		"pg_stat_user_tables": {"sum(n_tup_ins) AS ins", "sum(n_tup_upd) AS upd", "sum(n_tup_hot_upd) AS hot",
			"sum(n_tup_del) AS del", "sum(n_dead_tup) AS dead", "sum(autovacuum_count) AS vacuums"},
	} {
		more, err := p.numbers(database, columns, from)
		if err != nil {
			return nil, err
		}
		for k, v := range more {
			m[k] = v
		}
	}
	return m, nil
}

// statements tells how many there were for an event, and which took longest.
func (p *postgres) statements(database string, events float64) (l *ledger, top []statement, err error) {
	l = &ledger{}
	out, err := p.Exec(database, `SELECT s.calls, s.total_exec_time, s.rows, replace(left(regexp_replace(s.query, '\s+', ' ', 'g'), 160), '|', '/')
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE d.datname = current_database() AND s.query NOT LIKE '%pg_stat%' ORDER BY s.total_exec_time DESC`)
	if err != nil {
		return nil, nil, err
	}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSpace(line), "|", 4)
		var s statement
		if _, err := fmt.Sscan(strings.Join(f[:len(f)-1], " "), &s.Calls, &s.Took, &s.Rows); err != nil {
			return nil, nil, fmt.Errorf("pg_stat_statements: %q: %w", line, err)
		}
		s.Calls, s.Took, s.Rows, s.Text = s.Calls/events, s.Took*1000/events, s.Rows/events, f[3]
		l.Statements += s.Calls
		if len(top) < 8 {
			top = append(top, s)
		}
	}
	return l, top, nil
}

func printCounts(counts []count) {
	if len(counts) == 0 {
		return
	}
	fmt.Printf("\nan event costs, all out\n")
	for _, c := range counts {
		fmt.Printf("%-12s %.3f syncs", c.Contender, c.Syncs)
		if l := c.ledger; l != nil {
			fmt.Printf(", %.3f statements, %.3f transactions\n", l.Statements, l.Transactions)
			fmt.Printf("%-12s rows: %.2f inserted, %.2f updated (%.2f in place), %.2f deleted\n", "", l.Inserted, l.Updated, l.Hot, l.Deleted)
			fmt.Printf("%-12s WAL: %.0f bytes in %.1f records, %.2f page images, %.3f writes", "", l.WAL, l.Records, l.Images, l.Writes)
		}
		fmt.Println()
		for _, s := range c.Top {
			fmt.Printf("%-12s %7.2f µs, %.4f calls, %5.2f rows: %s\n", "", s.Took, s.Calls, s.Rows, s.Text)
		}
	}
}
