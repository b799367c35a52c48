package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what a configuration may refer to. The zero value is the
// process's own environment and files.
type Options struct {
	Getenv   func(name string) (string, bool)  // default os.LookupEnv
	Environ  func() []string                   // names and values, to warn of SEAWALL_ variables that there are not; default os.Environ
	ReadFile func(path string) ([]byte, error) // default os.ReadFile
	Dir      string                            // what file: paths and the store are relative to; default the file's own
	Now      func() time.Time                  // to warn of secrets whose time is over; default time.Now
	Known    []string                          // SEAWALL_ variables that are not the configuration's
	Revision bool                              // the text may be another node's: what belongs to a node is left out of it
}

// Load reads and checks the configuration in a file. The error is [Errors],
// everything that is wrong with it; or that of reading the file.
func Load(path string, opt Options) (*Config, error) {
	opt = opt.withDefaults()
	text, err := opt.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if opt.Dir == "" {
		opt.Dir = filepath.Dir(path)
	}
	return Parse(text, path, opt)
}

// Parse checks a configuration; name is what problems call its file.
func Parse(text []byte, name string, opt Options) (*Config, error) {
	r := newReader(name, opt)
	root := r.parse(text)
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	if root != nil && opt.Revision {
		root.pairs = slices.DeleteFunc(root.pairs, func(p pair) bool { return ofNode[p.key] })
	}
	c := r.config(value{r: r, node: root, line: 1, col: 1})
	r.strangers()
	if len(r.problems) > 0 {
		return nil, r.problems.sorted()
	}
	c.Text = text
	c.Warnings = r.warnings
	c.Secrets = r.secrets
	return c, nil
}

func newReader(file string, opt Options) *reader {
	return &reader{
		document: &document{file: file},
		opt:      opt.withDefaults(),
		asked:    map[string]map[string]bool{},
		settable: map[string]bool{},
		places:   map[string]value{},
	}
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
		if o.Environ == nil {
			o.Environ = os.Environ
		}
	}
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// strangers warns of variables that look like ours and do nothing.
func (r *reader) strangers() {
	if r.opt.Environ == nil {
		return
	}
	for _, kv := range r.opt.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "SEAWALL_") && !r.settable[name] && !r.refersTo(name) {
			r.warnings = append(r.warnings, "environment: "+name+" sets nothing in the configuration")
		}
	}
}

func (r *reader) refersTo(name string) bool {
	for _, k := range r.opt.Known {
		if k == name {
			return true
		}
	}
	for _, l := range r.lines {
		if strings.Contains(l, "${"+name+"}") {
			return true
		}
	}
	return false
}
