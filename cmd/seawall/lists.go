package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
)

const (
	defaultLimit = 50   // rows that a list shows unless told otherwise
	pageLimit    = 1000 // rows that the API gives at a time
)

// paging is how much of a list is wanted.
type paging struct {
	limit  int
	cursor string
	all    bool
}

func (p *paging) flags(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&p.limit, "limit", "n", defaultLimit, "at most so `many`")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "go on where a page before ended")
	cmd.Flags().BoolVar(&p.all, "all", false, "all of them, page by page")
	cmd.MarkFlagsMutuallyExclusive("all", "limit")
}

// listing is how one kind of thing is listed for people.
type listing[T any] struct {
	none  string // what to say if there is nothing
	heads []string
	row   func(t *terminal.Table, item T)
}

// show writes a list: as many as are wanted, page by page. A page of the API may
// be short, or empty, before the end: a rare filter is searched a stretch at a
// time.
func show[T any](c *cli, l listing[T], p *paging, pages func(api.Paging) (*api.Page[T], error)) error {
	if p.limit < 1 {
		return usagef("--limit must be 1 or more")
	}
	q := api.Paging{Cursor: p.cursor}
	t := c.table(l.heads)
	for left, wrote := p.limit, 0; ; {
		q.Limit = min(left, pageLimit)
		if p.all {
			q.Limit = pageLimit
		}
		page, err := pages(q)
		if err != nil {
			return err
		}
		if err := l.more(c, t, page.Data); err != nil {
			return err
		}
		left, wrote = left-len(page.Data), wrote+len(page.Data)
		q.Cursor = page.Next
		if q.Cursor == "" {
			if wrote == 0 && !c.json {
				c.printf("%s\n", l.none)
			}
			return nil
		}
		if left <= 0 && !p.all {
			// On standard error, for the list itself to stay what it is.
			fmt.Fprintf(c.err, "more: --cursor %s (or --all)\n", q.Cursor)
			return nil
		}
	}
}

// write writes all that there is of a short list.
func (l *listing[T]) write(c *cli, items []T) error {
	if len(items) == 0 {
		if !c.json {
			c.printf("%s\n", l.none)
		}
		return nil
	}
	return l.more(c, c.table(l.heads), items)
}

// more writes the next items of a list.
func (l *listing[T]) more(c *cli, t *terminal.Table, items []T) error {
	if len(items) == 0 {
		return nil
	}
	if c.json {
		return writeJSON(c.out, items...)
	}
	for _, item := range items {
		l.row(t, item)
	}
	return t.Write(c.out)
}

func (c *cli) table(heads []string) *terminal.Table { return terminal.NewTable(c.style(), heads...) }

// writeJSON writes each value as one line.
func writeJSON[T any](w io.Writer, values ...T) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// span is a stretch of time that a list is limited to.
type span struct{ since, until string }

func (s *span) flags(cmd *cobra.Command, of string) {
	cmd.Flags().StringVar(&s.since, "since", "", of+" at or after this `time`: RFC 3339, or back from now (90m, 2d)")
	cmd.Flags().StringVar(&s.until, "until", "", of+" before this `time`, likewise")
}

// moment is a time in a list: its distance and the exact time.
func (c *cli) moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return terminal.Exact(t) + " " + terminal.Ago(t, c.now())
}
