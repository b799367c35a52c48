package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
)

// compare measures all contenders in turn, so that whatever else the machine
// does falls on all of them.
func compare(ctx context.Context, o options) (rep *report, err error) {
	b, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && o.keep {
			progress("everything is left in %s", b.dir)
		}
		if closeErr := b.close(err == nil || !o.keep); err == nil {
			err = closeErr
		}
	}()
	rep = &report{
		Connections: o.conns, Concurrency: o.workers, Span: o.span.String(), Pending: o.pending,
		CPUs: runtime.NumCPU(), Go: runtime.Version(), Runs: map[string][]run{},
	}
	if rep.Contenders = b.contenders(); len(rep.Contenders) > 0 {
		if err := b.rounds(ctx, rep); err != nil {
			return nil, err
		}
	}
	if o.part["throughput"] || o.part["nodes"] || o.part["order"] {
		if err := b.count(rep); err != nil {
			return nil, err
		}
	}
	if o.part["claims"] {
		if rep.Claims, err = b.claims(ctx); err != nil {
			return nil, err
		}
	}
	rep.judge()
	return rep, nil
}

func (b *bench) rounds(ctx context.Context, rep *report) error {
	for _, c := range rep.Contenders {
		if c.backlog {
			if err := b.seed(c.engine); err != nil {
				return err
			}
		}
	}
	if err := b.probe(rep.Contenders); err != nil {
		return err
	}
	for i := range b.runs {
		for _, c := range rep.Contenders {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := b.once(i, c)
			if err != nil {
				return err
			}
			rep.Runs[c.name] = append(rep.Runs[c.name], r)
			b.adapt(c, r)
		}
	}
	return nil
}

// probe finds the fixed rates of the first round.
func (b *bench) probe(cs []contender) error {
	if !b.part["throughput"] {
		return nil
	}
	for _, c := range cs {
		if c.engine == "" || c.backlog || c.nodes > 1 || c.named {
			continue
		}
		b.rate[c.engine] = b.fixed
		if b.fixed > 0 {
			continue
		}
		r, err := b.measure(c, filepath.Join(b.dir, c.name+"-probe"), nil)
		if err != nil {
			return err
		}
		b.adapt(c, r)
		progress("%s delivers about %.0f/s; its fixed rate: %.0f/s", c.title, r["delivered"], b.rate[c.engine])
	}
	return nil
}

// adapt sets the next round's fixed rate: the machine may be slower by now than
// it was at first.
func (b *bench) adapt(c contender, r run) {
	if b.fixed == 0 && c.engine != "" && !c.backlog && c.nodes == 1 && !c.named {
		b.rate[c.engine] = r["delivered"] / 2
	}
}

// contenders are those that the chosen parts need.
func (o options) contenders() []contender {
	return slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool {
		if len(o.only) > 0 {
			return !slices.Contains(o.only, c.name)
		}
		switch {
		case c.backlog:
			return !o.part["backlog"] && !o.part["start"]
		case c.nodes > 1:
			return !o.part["nodes"]
		case c.named:
			return !o.part["order"]
		case c.engine == "":
			return !o.part["throughput"]
		default:
			return !o.part["throughput"] && !o.part["backlog"] && !o.part["order"] && !(o.part["nodes"] && c.engine == "postgres")
		}
	})
}

// tmpfs is a file system's type in statfs(2) where it lives in memory.
const tmpfs = 0x01021994

func warnAboutMemory(dir string) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil && fs.Type == tmpfs {
		progress("warning: %s is in memory, where fsync costs nothing; use -dir", dir)
	}
}

// wants tells whether an engine is measured at all.
func (o options) wants(engine string) bool {
	return o.part["claims"] && slices.Contains(o.engines(), engine) ||
		slices.ContainsFunc(o.contenders(), func(c contender) bool { return c.engine == engine }) ||
		o.soak > 0 && engine == "postgres"
}

// engines are those whose store alone is measured.
func (o options) engines() []string {
	if len(o.only) == 0 {
		return []string{"sqlite", "postgres"}
	}
	return slices.DeleteFunc([]string{"sqlite", "postgres"}, func(e string) bool { return !slices.Contains(o.only, e) })
}

func (o options) validate() error {
	for _, name := range o.only {
		if !slices.ContainsFunc(contenders, func(c contender) bool { return c.name == name }) {
			return fmt.Errorf("no contender is named %q", name)
		}
	}
	for name := range o.part {
		if !slices.Contains(parts, name) {
			return fmt.Errorf("no scenario is named %q", name)
		}
	}
	return nil
}
