package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/api"
	"github.com/seawall-dev/seawall/internal/api/client"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	linkPart = 1000    // links that are written at a time
	linkLine = 1 << 20 // bytes of the longest line
)

// lineError is what is wrong with a line of a file.
type lineError struct {
	line int
	text string
	lost bool // what follows cannot be read
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

// linkReader reads links from a file, one after the other.
type linkReader struct {
	one func() (item api.LinkItem, line int, err error)
}

// readLinks begins to read a file. Without a format, its first character tells.
func readLinks(in io.Reader, format string) (*linkReader, error) {
	b := bufio.NewReaderSize(in, 64<<10)
	if mark, _ := b.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) { // as spreadsheets write
		_, _ = b.Discard(3)
	}
	if format == "" {
		first, err := b.Peek(1)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if format = formatCSV; len(first) > 0 && first[0] == '{' {
			format = formatNDJSON
		}
	}
	if format == formatNDJSON {
		return ndjsonLinks(b), nil
	}
	return csvLinks(b)
}

// next reads up to limit links, with the lines they stand in. What it has read when
// it meets an error comes with that; io.EOF ends the file.
func (r *linkReader) next(limit int) (part []api.LinkItem, lines []int, err error) {
	for len(part) < limit {
		item, line, err := r.one()
		if err != nil {
			return part, lines, err
		}
		part, lines = append(part, item), append(lines, line)
	}
	return part, lines, nil
}

func csvLinks(in io.Reader) (*linkReader, error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, seawall.Errorf(seawall.ErrInvalid, "it is empty").WithHint("the first line names the columns: entity,system,record")
	}
	if err != nil {
		return nil, csvError(err)
	}
	at := map[string]int{}
	for i, h := range head {
		at[strings.ToLower(strings.TrimSpace(h))] = i
	}
	var place [3]int
	for i, name := range []string{"entity", "system", "record"} {
		col, there := at[name]
		if !there {
			return nil, seawall.Errorf(seawall.ErrInvalid, "line 1: no column %s", name).
				WithHint("the first line names the columns: entity,system,record")
		}
		place[i] = col
	}
	return &linkReader{func() (item api.LinkItem, line int, err error) {
		rec, err := r.Read()
		if err != nil {
			return item, 0, csvError(err)
		}
		line, _ = r.FieldPos(0)
		return api.LinkItem{Entity: strings.Clone(rec[place[0]]), System: strings.Clone(rec[place[1]]), Record: strings.Clone(rec[place[2]])}, line, nil
	}}, nil
}

func csvError(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	text := p.Err.Error()
	if errors.Is(err, csv.ErrFieldCount) {
		text = "not as many columns as the first line has"
	}
	return &lineError{line: p.Line, text: text, lost: !errors.Is(err, csv.ErrFieldCount)}
}

func ndjsonLinks(in io.Reader) *linkReader {
	s := bufio.NewScanner(in)
	s.Buffer(nil, linkLine)
	line := 0
	return &linkReader{func() (item api.LinkItem, _ int, err error) {
		for s.Scan() {
			line++
			if len(bytes.TrimSpace(s.Bytes())) == 0 {
				continue
			}
			if err := json.Unmarshal(s.Bytes(), &item); err != nil {
				return item, line, &lineError{line: line, text: strings.TrimPrefix(err.Error(), "json: ")}
			}
			return item, line, nil
		}
		if errors.Is(s.Err(), bufio.ErrTooLong) {
			return item, line, &lineError{line: line + 1, text: fmt.Sprintf("longer than %d bytes", linkLine), lost: true}
		}
		if s.Err() != nil {
			return item, line, s.Err()
		}
		return item, line, io.EOF
	}}
}

// faultsOf are the items that the gateway refused, by the lines they stand in.
func faultsOf(err error, lines []int) (told []string) {
	var r *client.Refused
	if !errors.As(err, &r) {
		return nil
	}
	type fault struct {
		line int
		text string
	}
	var all []fault
	for _, f := range r.Problem.Errors {
		n, aerr := strconv.Atoi(strings.TrimPrefix(f.Location, "item "))
		if aerr != nil || n < 1 || n > len(lines) {
			return nil
		}
		text := f.Message
		if i := strings.LastIndex(text, ", by item "); i >= 0 {
			if other, aerr := strconv.Atoi(text[i+len(", by item "):]); aerr == nil && other >= 1 && other <= len(lines) {
				text = fmt.Sprintf("%s, by line %d", text[:i], lines[other-1])
			}
		}
		all = append(all, fault{lines[n-1], text})
	}
	slices.SortStableFunc(all, func(a, b fault) int { return a.line - b.line })
	for _, f := range all {
		told = append(told, fmt.Sprintf("line %d: %s", f.line, f.text))
	}
	return told
}
