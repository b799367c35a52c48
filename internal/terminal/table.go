package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table aligns rows under headings. Rows are kept until they are written; what
// is added after that is aligned with what was written, as far as it fits.
type Table struct {
	Style  Style
	heads  []string
	rows   [][]Cell
	widths []int
	begun  bool
}

// Cell is one field of a row. Text is cleaned when it is written; Paint, which
// may be nil, colours it without counting for its width.
type Cell struct {
	Text  string
	Paint func(string) string
	Right bool
}

// NewTable makes a table with these headings.
func NewTable(style Style, heads ...string) *Table { return &Table{Style: style, heads: heads} }

// Row adds a row of strings, numbers (which stand to the right) and Cells.
func (t *Table) Row(fields ...any) {
	row := make([]Cell, len(fields))
	for i, f := range fields {
		switch f := f.(type) {
		case Cell:
			row[i] = f
		case string:
			row[i] = Cell{Text: f}
		default:
			row[i] = Cell{Text: fmt.Sprint(f), Right: true}
		}
	}
	t.rows = append(t.rows, row)
}

// State is a cell with the name of a state, in its colour.
func (t *Table) State(name string) Cell { return Cell{Text: name, Paint: t.Style.State} }

// Dim is a cell that matters less.
func (t *Table) Dim(text string) Cell { return Cell{Text: text, Paint: t.Style.Dim} }

// Write writes the rows that are not yet written, the first time under the
// headings.
func (t *Table) Write(w io.Writer) error {
	if t.widths == nil {
		t.widths = make([]int, len(t.heads))
	}
	for i, h := range t.heads {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(h))
	}
	for _, row := range t.rows {
		for i := range row {
			row[i].Text = Clean(row[i].Text)
			if row[i].Text == "" {
				row[i].Text = "-"
			}
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(row[i].Text))
		}
	}
	var out strings.Builder
	if !t.begun {
		t.writeRow(&out, t.head())
	}
	for _, row := range t.rows {
		t.writeRow(&out, row)
	}
	t.rows, t.begun = nil, true
	_, err := io.WriteString(w, out.String())
	return err
}

// head is the row of headings, each standing where its column does.
func (t *Table) head() []Cell {
	head := make([]Cell, len(t.heads))
	for i, h := range t.heads {
		head[i] = Cell{Text: strings.ToUpper(h), Paint: t.Style.Dim}
		head[i].Right = len(t.rows) > 0 && t.rows[0][i].Right
	}
	return head
}

func (t *Table) writeRow(out *strings.Builder, row []Cell) {
	for i, c := range row {
		if i > 0 {
			out.WriteString("  ")
		}
		pad := strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c.Text))
		text := c.Text
		if c.Paint != nil {
			text = c.Paint(text)
		}
		switch {
		case c.Right:
			out.WriteString(pad + text)
		case i == len(row)-1:
			out.WriteString(text)
		default:
			out.WriteString(text + pad)
		}
	}
	out.WriteByte('\n')
}
