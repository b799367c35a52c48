package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// contender is one of those that are compared.
type contender struct {
	name    string
	title   string // of its column
	engine  string // "" of the baseline
	nodes   int
	backlog bool // on a store in which a backlog waits
	named   bool // the entities of its events are told
	ordered bool // by them
	hot     bool // and one entity's line is long
}

var contenders = []contender{
	{name: "baseline", title: "baseline", nodes: 1},
	{name: "sqlite", title: "SQLite", engine: "sqlite", nodes: 1},
	{name: "sqlite-backlog", title: "with backlog", engine: "sqlite", nodes: 1, backlog: true},
	{name: "postgres", title: "PostgreSQL", engine: "postgres", nodes: 1},
	{name: "postgres-backlog", title: "with backlog", engine: "postgres", nodes: 1, backlog: true},
	{name: "nodes", title: "two nodes", engine: "postgres", nodes: 2},
	{name: "sqlite-named", title: "entities", engine: "sqlite", nodes: 1, named: true},
	{name: "sqlite-ordered", title: "ordered", engine: "sqlite", nodes: 1, named: true, ordered: true},
	{name: "sqlite-hot", title: "and a hot one", engine: "sqlite", nodes: 1, named: true, ordered: true, hot: true},
	{name: "postgres-named", title: "entities", engine: "postgres", nodes: 1, named: true},
	{name: "postgres-ordered", title: "ordered", engine: "postgres", nodes: 1, named: true, ordered: true},
	{name: "postgres-hot", title: "and a hot one", engine: "postgres", nodes: 1, named: true, ordered: true, hot: true},
}

// bench is one whole measurement.
type bench struct {
	options
	programs
	dir   string
	pg    *postgres
	hole  *hole
	ctx   context.Context    // of the whole run: ends at SIGINT
	rate  map[string]float64 // fixed rate by engine: half of what it delivers all out
	seeds map[string]*seeded // stores with a backlog, by engine
}

// seeded is a store in which a backlog waits.
type seeded struct {
	store string
	next  int // number of the next event of its backlog
}

func newBench(ctx context.Context, o options) (_ *bench, err error) {
	b := &bench{options: o, ctx: ctx, rate: map[string]float64{}, seeds: map[string]*seeded{}}
	if b.dir, err = os.MkdirTemp(o.dir, "seawall-bench-"); err != nil {
		return nil, err
	}
	warnAboutMemory(b.dir)
	b.disk = diskOf(b.dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(true))
		}
	}()
	if b.programs, err = buildPrograms(o, b.dir); err != nil {
		return nil, err
	}
	if o.wants("postgres") {
		b.pg, err = newPostgres(o.dir)
		if errors.Is(err, pgcluster.ErrNone) && len(o.only) == 0 && o.soak == 0 {
			progress("PostgreSQL is left out: %v", err)
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	b.hole, err = newHole()
	return b, err
}

// contenders are those that the chosen parts need, on the engines that there are.
func (b *bench) contenders() []contender {
	return slices.DeleteFunc(b.options.contenders(), func(c contender) bool { return c.engine == "postgres" && b.pg == nil })
}

// engines are those whose store alone is measured.
func (b *bench) engines() []string {
	return slices.DeleteFunc(b.options.engines(), func(e string) bool { return e == "postgres" && b.pg == nil })
}

// close ends the database and removes everything, unless it is to be looked at.
func (b *bench) close(remove bool) (err error) {
	if b.hole != nil {
		err = b.hole.Close()
	}
	if b.pg != nil {
		err = errors.Join(err, b.pg.Close())
	}
	if remove {
		err = errors.Join(err, os.RemoveAll(b.dir))
	}
	return err
}

// newStore makes an empty store in a directory and returns its address.
func (b *bench) newStore(engine, dir string) (addr, database string, err error) {
	switch engine {
	case "sqlite":
		return "sqlite:" + filepath.Join(dir, "seawall.db"), "", nil
	case "postgres":
		if database, err = b.pg.database(); err != nil {
			return "", "", err
		}
		return b.pg.URL(database), database, nil
	}
	return "", "", nil
}

// seed makes an engine's store with a backlog.
func (b *bench) seed(engine string) error {
	dir := filepath.Join(b.dir, engine+"-seeded")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	addr, database, err := b.newStore(engine, dir)
	if err != nil {
		return err
	}
	began := time.Now()
	s := &seeded{store: addr}
	err = b.withSeeder(s, func(ctx context.Context, sd *seeder) error { return sd.fill(ctx, b.pending, bodySize, place) })
	if err != nil {
		return fmt.Errorf("seed %s: %w", engine, err)
	}
	took := time.Since(began)
	if database != "" { // as it would be by the time that so much waits
		if _, err := b.pg.Exec(database, "VACUUM (ANALYZE)"); err != nil {
			return err
		}
	}
	// What the system has yet to write of it would be taken for the gateway's.
	syscall.Sync()
	progress("%s: %d pending written in %.0f s, %.0f/s", engine, b.pending, took.Seconds(), float64(b.pending)/took.Seconds())
	b.seeds[engine] = s
	return nil
}

func (b *bench) withSeeder(s *seeded, f func(ctx context.Context, sd *seeder) error) error {
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Minute)
	defer cancel()
	st, err := openStore(ctx, s.store)
	if err != nil {
		return err
	}
	sd := &seeder{st, s.next}
	err = f(ctx, sd)
	s.next = sd.next
	return errors.Join(err, st.Close())
}

// dueAtStart is how much of a backlog the sink should get at once: by the first
// of it one sees that a gateway delivers again.
const dueAtStart = 500

// begin starts a contender. Without a wrapper, it runs as it is.
func (b *bench) begin(c contender, dir string, wrapper ...string) (*trial, error) {
	return b.beginWith(c, dir, nil, "", wrapper...)
}

// beginWith is begin with further lines of the configuration.
func (b *bench) beginWith(c contender, dir string, more func(sink string) beside, extra string, wrapper ...string) (*trial, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	t := &trial{contender: c, track: newTrack(), dir: dir, run: filepath.Base(dir)}
	s := setup{programs: b.programs, dir: dir, workers: b.workers, nodes: c.nodes, named: c.named, ordered: c.ordered, beside: more, extra: extra, wrapper: wrapper}
	if c.engine == "postgres" {
		s.pg, t.pg = b.pg, b.pg
	}
	var err error
	if c.backlog {
		seed := b.seeds[c.engine]
		err = b.withSeeder(seed, func(ctx context.Context, sd *seeder) error { return sd.due(ctx, dueAtStart, bodySize) })
		s.store, s.hole = seed.store, b.hole.Addr().String()
	} else {
		s.store, t.database, err = b.newStore(c.engine, dir)
	}
	if err != nil {
		return nil, err
	}
	if c.hot {
		err := b.withSeeder(&seeded{store: s.store}, func(ctx context.Context, sd *seeder) error { return sd.hot(ctx) })
		if err == nil && t.database != "" { // as it would be by the time that so much waits
			_, err = b.pg.Exec(t.database, "VACUUM (ANALYZE)")
		}
		if err != nil {
			return nil, errors.Join(err, t.end())
		}
	}
	if err := t.start(s); err != nil {
		return nil, errors.Join(err, t.end())
	}
	return t, nil
}
