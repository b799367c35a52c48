package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/terminal"
	"github.com/seawall-dev/seawall/seawall"
)

func (c *cli) linksCommand() *cobra.Command {
	return group("links", "List, import, export and remove what entities are in each system",
		c.linksList(), c.linksImport(), c.linksExport(), c.linksRemove())
}

// linkFlags are what selects links.
func linkFlags(cmd *cobra.Command, q *api.LinkQuery) {
	cmd.Flags().StringVar(&q.Name, "name", "", "of entities of this `kind`: order")
	cmd.Flags().StringVar(&q.Entity, "entity", "", "of this `entity`")
	cmd.Flags().StringVar(&q.System, "system", "", "in this `system`")
	cmd.Flags().StringVar(&q.Record, "record", "", "with this `id` there")
}

func (c *cli) linksList() *cobra.Command {
	var q api.LinkQuery
	var p paging
	cmd := &cobra.Command{
		Use: "list", Short: "List which record an entity is in each system", Args: cobra.NoArgs,
		Example: "  seawall links list --entity order/1001\n  seawall links list --system stripe --record pi_3N",
	}
	linkFlags(cmd, &q)
	p.flags(cmd)
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		g, err := c.gateway()
		if err != nil {
			return err
		}
		return show(c, c.linkListing(), &p, func(page api.Paging) (*api.Page[seawall.Link], error) {
			q.Paging = page
			return g.Links(ctx, q)
		})
	})
	return cmd
}

func (c *cli) linkListing() listing[seawall.Link] {
	return listing[seawall.Link]{
		none:  "no links",
		heads: []string{"entity", "system", "record", "learned", "by"},
		row: func(t *terminal.Table, l seawall.Link) {
			t.Row(l.Entity, l.System, l.Record, c.moment(l.At), l.By)
		},
	}
}

func (c *cli) linksRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove ENTITY SYSTEM", Short: "Remove a link", Args: cobra.ExactArgs(2),
		Long: `Remove the link of an entity to a system. What was sent is not undone: the next
event finds or makes a record anew.`,
		Example: "  seawall links remove order/1001 crm",
		RunE: c.does(func(ctx context.Context, args []string) error {
			entity, err := entityArg(args[0])
			if err != nil {
				return err
			}
			g, err := c.gateway()
			if err != nil {
				return err
			}
			if err := g.Unlink(ctx, entity, args[1]); err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.out, map[string]string{"entity": entity, "system": args[1]})
			}
			c.printf("%s has no link to %s any more\n", terminal.Clean(entity), terminal.Clean(args[1]))
			return nil
		}),
	}
}

// The formats of files of links.
const (
	formatCSV    = "csv"
	formatNDJSON = "ndjson"
)

func (c *cli) linksExport() *cobra.Command {
	var q api.LinkQuery
	var format string
	cmd := &cobra.Command{
		Use: "export", Short: "Write links to standard output, for a file", Args: cobra.NoArgs,
		Long: `Write links to standard output, as "seawall links import" reads them: as CSV, or
with --format ndjson (or --json) one JSON object a line.`,
		Example: "  seawall links export > links.csv\n  seawall links export --system crm --format ndjson > crm.ndjson",
	}
	linkFlags(cmd, &q)
	cmd.Flags().StringVar(&format, "format", formatCSV, "csv or ndjson")
	cmd.RunE = c.does(func(ctx context.Context, _ []string) error {
		if c.json {
			format = formatNDJSON
		}
		if format != formatCSV && format != formatNDJSON {
			return usagef("--format must be csv or ndjson")
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		out := csv.NewWriter(c.out)
		if format == formatCSV {
			_ = out.Write([]string{"entity", "system", "record", "at", "by"})
		}
		q.Limit = pageLimit
		for l, err := range g.AllLinks(ctx, q) {
			if err != nil {
				return err
			}
			if format == formatNDJSON {
				err = writeJSON(c.out, l)
			} else {
				err = out.Write([]string{l.Entity, l.System, l.Record, l.At.UTC().Format(time.RFC3339Nano), l.By})
			}
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		out.Flush()
		return out.Error()
	})
	return cmd
}

func (c *cli) linksImport() *cobra.Command {
	var format string
	var dry bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Read links from a file", Args: cobra.ExactArgs(1),
		Long: `Read links from a file, or from standard input for "-": CSV with a line of
headings, of which entity, system and record count, or one JSON object a line with
those keys. A link takes the place of the one that its entity has to the system. A
record that is another entity's is an error.

It is written a thousand links at a time, each thousand wholly or not at all, and
stops at the first that has an error. Importing it again does no harm. --dry-run
checks the whole file, and tells what would change.`,
		Example: "  seawall links import links.csv --dry-run\n  seawall links export | seawall links import - --url http://other:8081",
	}
	cmd.Flags().StringVar(&format, "format", "", "csv or ndjson (default: by the file's first character)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "check only")
	cmd.RunE = c.does(func(ctx context.Context, args []string) error {
		if format != "" && format != formatCSV && format != formatNDJSON {
			return usagef("--format must be csv or ndjson")
		}
		in, name := c.in, "standard input"
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return seawall.Errorf(seawall.ErrInvalid, "%w", err)
			}
			defer f.Close()
			in, name = f, args[0]
		}
		r, err := readLinks(in, format)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		g, err := c.gateway()
		if err != nil {
			return err
		}
		im := importing{put: func(ls []api.LinkItem) (*api.LinksWritten, error) { return g.PutLinks(ctx, ls, dry) }, name: name, dry: dry}
		im.sum.DryRun = dry
		err = im.run(r)
		for _, w := range im.sum.Warnings {
			fmt.Fprintln(c.err, terminal.StyleOf(c.err, c.env).Warn("warning: ")+terminal.Clean(w))
		}
		if err != nil {
			return err
		}
		if c.json {
			return writeJSON(c.out, im.sum)
		}
		if dry {
			c.printf("%s could be written: %d new, %d changed, %d there already\n", terminal.Count(im.sum.Links, "link"), im.sum.New, im.sum.Changed, im.sum.Same)
			return nil
		}
		c.printf("%s written\n", terminal.Count(im.sum.Links, "link"))
		return nil
	})
	return cmd
}

// faultsShown bounds how many errors of one file are told.
const faultsShown = 50

// importing is a file of links being written.
type importing struct {
	put  func([]api.LinkItem) (*api.LinksWritten, error)
	name string
	dry  bool
	sum  api.LinksWritten

	faults []string
	more   int
}

// run reads and writes in parts. A dry run goes on after an error.
func (im *importing) run(r *linkReader) error {
	for {
		part, lines, err := r.next(linkPart)
		var bad *lineError
		switch {
		case errors.As(err, &bad):
			im.fault(bad.Error())
			if !im.dry || bad.lost {
				return im.end()
			}
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("%s: %w", im.name, err)
		}
		if len(part) > 0 {
			if err := im.write(part, lines); err != nil {
				return err
			}
			if len(im.faults) > 0 && !im.dry {
				return im.end()
			}
		}
		if errors.Is(err, io.EOF) {
			return im.end()
		}
	}
}

func (im *importing) write(part []api.LinkItem, lines []int) error {
	sum, err := im.put(part)
	if err == nil {
		im.sum.Add(*sum)
		return nil
	}
	told := faultsOf(err, lines)
	if len(told) == 0 {
		if im.sum.Links > 0 && !im.dry {
			return fmt.Errorf("%w (%d were written before that; the same command goes on)", err, im.sum.Links)
		}
		return err
	}
	for _, f := range told {
		im.fault(f)
	}
	return nil
}

func (im *importing) fault(text string) {
	if len(im.faults) == faultsShown {
		im.more++
		return
	}
	im.faults = append(im.faults, text)
}

// end is the error that the file's are, if there are any.
func (im *importing) end() error {
	if len(im.faults) == 0 {
		return nil
	}
	text := ""
	for i, f := range im.faults {
		if i > 0 {
			text += "\n"
		}
		text += im.name + ": " + f
	}
	if im.more > 0 {
		text += fmt.Sprintf("\n%s: and %d more", im.name, im.more)
	}
	err := seawall.Errorf(seawall.ErrInvalid, "%s", text)
	switch {
	case im.dry:
		return err.WithHint("nothing was written: it was a dry run")
	case im.sum.Links > 0:
		return err.WithHint("%s before that were written; once it is mended, import the whole file again", terminal.Count(im.sum.Links, "link"))
	}
	return err.WithHint("nothing was written; --dry-run checks the whole file")
}
