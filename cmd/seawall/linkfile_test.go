package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/internal/api"
)

// all reads a whole file, part by part.
func all(t *testing.T, text, format string) (got []string, wrong error) {
	t.Helper()
	r, err := readLinks(strings.NewReader(text), format)
	if err != nil {
		return nil, err
	}
	for {
		part, lines, err := r.next(2)
		for i, l := range part {
			got = append(got, fmt.Sprintf("%d: %s|%s|%s", lines[i], l.Entity, l.System, l.Record))
		}
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

func TestLinkFilesAreRead(t *testing.T) {
	for name, c := range map[string]struct{ text, format, want, wrong string }{
		"csv":             {"entity,system,record\norder/1,crm,5\n\n\"order/a,b\",crm,\"6\n7\"\norder/3,crm,8\n", "", "2: order/1|crm|5; 4: order/a,b|crm|6\n7; 6: order/3|crm|8", ""},
		"csv of a sheet":  {"\xef\xbb\xbfAt, Record ,System,Entity\r\n1,5,crm,order/1\r\n", "", "2: order/1|crm|5", ""},
		"ndjson":          {"{\"entity\":\"order/1\",\"system\":\"crm\",\"record\":\"5\",\"at\":\"x\"}\n\n{\"entity\":\"order/2\",\"system\":\"crm\",\"record\":\"6\"}", "", "1: order/1|crm|5; 3: order/2|crm|6", ""},
		"only headings":   {"entity,system,record\n", "", "", ""},
		"no lines":        {"", formatNDJSON, "", ""},
		"empty":           {"", "", "", "it is empty"},
		"no record":       {"entity,system,id\n", "", "", "line 1: no column record"},
		"few columns":     {"entity,system,record\norder/1,crm,5\norder/2,crm\n", "", "2: order/1|crm|5", "line 3: not as many columns as the first line has"},
		"quote":           {"entity,system,record\norder/1,crm,5\norder/2,crm,\"6\" x\n", "", "2: order/1|crm|5", `line 3: extraneous or missing " in quoted-field`},
		"not JSON":        {"{\"entity\":\"order/1\",\"system\":\"crm\",\"record\":\"5\"}\n{oops}\n", "", "1: order/1|crm|5", "line 2: "},
		"record a number": {"{\"record\":5}\n", "", "", "line 1: cannot unmarshal number"},
		"long":            {"\n{\"record\":\"" + strings.Repeat("x", linkLine) + "\"}\n", formatNDJSON, "", "line 2: longer than 1048576 bytes"},
	} {
		got, err := all(t, c.text, c.format)
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, want %q", name, strings.Join(got, "; "), c.want)
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.HasPrefix(err.Error(), c.wrong) {
			t.Errorf("%s: error %v, want %q", name, err, c.wrong)
		}
	}
}

// A dry run finds all that can be found; an import stops at the first part that
// has an error, and says what was written.
func TestLinksAreImportedInParts(t *testing.T) {
	var file strings.Builder
	file.WriteString("entity,system,record\n")
	for i := range 2500 {
		if i == 1700 {
			file.WriteString("order/x,crm\n")
			continue
		}
		fmt.Fprintf(&file, "order/%d,crm,%d\n", i, i)
	}
	for _, dry := range []bool{true, false} {
		r, err := readLinks(strings.NewReader(file.String()), "")
		if err != nil {
			t.Fatal(err)
		}
		var parts []int
		im := importing{name: "links.csv", dry: dry, put: func(ls []api.LinkItem) (*api.LinksWritten, error) {
			parts = append(parts, len(ls))
			return &api.LinksWritten{Links: len(ls)}, nil
		}}
		err = im.run(r)
		want := []int{1000}
		if dry {
			want = []int{1000, 700, 799}
		}
		if fmt.Sprint(parts) != fmt.Sprint(want) || err == nil || err.Error() != "links.csv: line 1702: not as many columns as the first line has" {
			t.Errorf("dry %v: parts %v, want %v: %v", dry, parts, want, err)
		}
	}
}
