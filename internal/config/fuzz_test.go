package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Whatever is written, either a configuration comes of it, or problems at places
// that exist; and no secret is in them.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for c := range strings.SplitSeq(problems, "===\n") {
		f.Add([]byte(c[:strings.LastIndex(c, "---\n")]))
	}
	f.Add([]byte("a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["))
	f.Add([]byte("- - - - - - - - - - - - - - - - - - - -"))
	f.Fuzz(func(t *testing.T, text []byte) {
		opt := testOptions()
		opt.Getenv = fullVars.get
		c, err := Parse(text, "x", opt)
		if err == nil {
			if string(c.Text) != string(text) {
				t.Error("the text is not what was written")
			}
			return
		}
		var problems Errors
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("%v", err)
		}
		lines := len(splitLines(string(text)))
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || p.Column < 0 || p.Line > 0 && p.Column == 0 || p.Msg == "" {
				t.Errorf("%#v in a file of %d lines", p, lines)
			}
		}
		for name, secret := range fullVars {
			if strings.Contains(err.Error(), secret) && !strings.Contains(string(text), secret) {
				t.Errorf("%s is shown: %v", name, err)
			}
		}
	})
}
