package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// A scalar may refer to what the file itself should not hold: ${NAME} is the
// value of an environment variable, anywhere in it; file:PATH, as a whole, the
// content of a file, without a line break at its end. $${ stands for ${.

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// resolved is a scalar with its references followed.
type resolved struct {
	text string
	refs int  // how many there were
	ok   bool // false if one could not be followed, which is noted
}

// resolve follows the references of a scalar. escape, if not nil, makes what
// they stand for fit the language that the scalar is written in.
func (v value) resolve(escape func(string) string) resolved {
	text := v.node.text
	if escape == nil {
		escape = func(s string) string { return s }
	}
	if v.env != "" {
		return resolved{text: text, ok: true}
	}
	if path, ok := strings.CutPrefix(text, "file:"); ok {
		content, ok := v.fileContent(path)
		return resolved{text: escape(content), refs: 1, ok: ok}
	}
	out := resolved{ok: true}
	var b strings.Builder
	from := 0
	for _, at := range reference.FindAllStringIndex(text, -1) {
		word := text[at[0]:at[1]]
		b.WriteString(text[from:at[0]])
		from = at[1]
		if rest, literal := strings.CutPrefix(word, "$$"); literal {
			b.WriteString("$" + rest)
			continue
		}
		out.refs++
		content, ok := v.variable(word, at[0])
		out.ok = out.ok && ok
		b.WriteString(escape(content))
	}
	b.WriteString(text[from:])
	out.text = b.String()
	return out
}

// variable is what ${NAME} stands for.
func (v value) variable(word string, offset int) (string, bool) {
	line, col := v.node.at(offset)
	name, closed := strings.CutSuffix(strings.TrimPrefix(word, "${"), "}")
	if !closed || !variableName.MatchString(name) {
		v.failAt(line, col, "write ${NAME}, or $${ for a literal ${", "%s names no environment variable", word)
		return "", false
	}
	content, ok := v.r.opt.Getenv(name)
	switch {
	case !ok:
		v.failAt(line, col, "export "+name+"=… before the start, or refer to a file with file:PATH", "the environment variable %s is not set", name)
		return "", false
	case content == "":
		v.failAt(line, col, "export "+name+"=… before the start, or refer to a file with file:PATH", "the environment variable %s is empty", name)
		return "", false
	}
	v.r.refers(v.path, content)
	return content, true
}

func (v value) fileContent(path string) (string, bool) {
	path = strings.TrimSpace(path)
	if path == "" {
		v.fail("write file:PATH", "file: without a path")
		return "", false
	}
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(v.r.opt.Dir, full)
	}
	b, err := v.r.opt.ReadFile(full)
	var where *fs.PathError
	if errors.As(err, &where) {
		err = where.Err // the path as written says enough
	}
	if err != nil {
		v.fail("paths are relative to the configuration file", "file %s: %v", path, err)
		return "", false
	}
	content := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if content == "" {
		v.fail("", "file %s is empty", path)
		return "", false
	}
	v.r.refers(v.path, content)
	return content, true
}

// refers keeps what a reference under destinations and systems stands for, but
// for certificates, which are shown to everybody.
func (r *reader) refers(path, content string) {
	if !strings.HasPrefix(path, "destinations.") && !strings.HasPrefix(path, "systems.") ||
		strings.HasSuffix(path, ".cert") || strings.HasSuffix(path, ".ca") {
		return
	}
	for _, s := range r.secrets {
		if s == content {
			return
		}
	}
	r.secrets = append(r.secrets, content)
}
