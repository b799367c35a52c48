package provider

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"io"
	"strings"
	"sync"
)

// picker takes a few scalars out of a JSON document without building it: it
// reads tokens, skips what no path leads to, and stops as soon as it has what
// is asked for. Most bodies are read no further than their first lines.
//
// Numbers are kept as their digits: ids of 64 bits and times in nanoseconds do
// not fit a float. Of a name that occurs twice the first counts.
type picker struct {
	root  branch
	slots int
}

// branch is a name in a path. The leaf of a path has a slot.
type branch struct {
	name []byte
	slot int // -1 if no path ends here
	kids []branch
}

var errNotObject = errors.New("it is not a JSON object")

// pick makes a picker for the paths, names joined by dots. The value of the
// i-th goes to slot i; paths joined by "|" share a slot, first come, first kept.
func pick(paths ...string) *picker {
	p := &picker{slots: len(paths)}
	for slot, alternatives := range paths {
		for path := range strings.SplitSeq(alternatives, "|") {
			b := &p.root
			for name := range strings.SplitSeq(path, ".") {
				b = b.grow(name)
			}
			b.slot = slot
		}
	}
	return p
}

func (b *branch) grow(name string) *branch {
	for i := range b.kids {
		if string(b.kids[i].name) == name {
			return &b.kids[i]
		}
	}
	b.kids = append(b.kids, branch{name: []byte(name), slot: -1})
	return &b.kids[len(b.kids)-1]
}

// reading is one document being read, with buffers that are used again.
type reading struct {
	dec    *jsontext.Decoder
	buf    bytes.Buffer
	values []string
	left   uint64 // bit set of slots that are still wanted
}

var readings = sync.Pool{New: func() any { return &reading{dec: new(jsontext.Decoder)} }}

// A payload that was verified is read as leniently as can be: it is the
// provider's, and refusing it would lose it.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// from returns the values in the order of the paths, "" where there is none. It
// stops once the slots in need (a bit set; 0: all) are filled. With an error,
// what was read before it is returned too.
func (p *picker) from(body []byte, need uint64) ([]string, error) {
	if need == 0 {
		need = 1<<p.slots - 1
	}
	r := readings.Get().(*reading)
	defer readings.Put(r)
	r.buf = *bytes.NewBuffer(body)
	r.dec.Reset(&r.buf, lenient...)
	defer func() { r.buf, r.values = bytes.Buffer{}, nil }()
	r.values, r.left = make([]string, p.slots), need

	switch kind := r.dec.PeekKind(); {
	case kind == '{':
		err := r.object(&p.root)
		return r.values, err
	case kind == jsontext.KindInvalid:
		_, err := r.dec.ReadToken()
		return r.values, plain(err)
	}
	return r.values, errNotObject
}

// object reads an object along the branch.
func (r *reading) object(b *branch) error {
	if _, err := r.dec.ReadToken(); err != nil { // {
		return plain(err)
	}
	for r.left != 0 {
		if r.dec.PeekKind() == '}' {
			_, err := r.dec.ReadToken()
			return plain(err)
		}
		name, err := r.dec.ReadValue()
		if err != nil {
			return plain(err)
		}
		if err := r.member(b.kid(name)); err != nil {
			return err
		}
	}
	return nil
}

// member reads the value of a name, along its branch if it has one.
func (r *reading) member(b *branch) error {
	if b == nil {
		return r.skip()
	}
	switch r.dec.PeekKind() {
	case '{':
		if len(b.kids) > 0 {
			return r.object(b)
		}
	case '"', '0', 't', 'f':
		if b.slot < 0 || r.values[b.slot] != "" {
			break
		}
		v, err := r.dec.ReadValue()
		if err != nil {
			return plain(err)
		}
		r.values[b.slot] = text(v)
		r.left &^= 1 << b.slot
		return nil
	}
	return r.skip()
}

// skip passes over a value: at once, as the body is at hand as a whole, and only
// one that is broken token by token, which tells where it breaks.
func (r *reading) skip() error {
	if _, err := r.dec.ReadValue(); err == nil {
		return nil
	}
	return plain(r.dec.SkipValue())
}

// kid finds the branch of a quoted name.
func (b *branch) kid(quoted []byte) *branch {
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = []byte(text(quoted))
	}
	for i := range b.kids {
		if bytes.Equal(b.kids[i].name, name) {
			return &b.kids[i]
		}
	}
	return nil
}

// text is a JSON string's content, or the scalar as written.
func text(v jsontext.Value) string {
	if len(v) < 2 || v[0] != '"' {
		return string(v)
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	s, _ := jsontext.AppendUnquote(nil, v) // what is wrong with it becomes U+FFFD
	return string(s)
}

// elements returns the raw bytes of each element of a JSON array, as parts of
// body. A single object is a list of one.
func elements(body []byte) ([][]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	switch dec.PeekKind() {
	case '{':
		return [][]byte{body}, nil
	case '[':
	case jsontext.KindInvalid:
		_, err := dec.ReadToken()
		return nil, plain(err)
	default:
		return nil, errors.New("it is not a JSON array")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, plain(err)
	}
	var out [][]byte
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return nil, plain(err)
		}
		end := dec.InputOffset()
		out = append(out, body[end-int64(len(v)):end:end])
	}
	return out, nil
}

// plain puts a reader's error into words without quoting the payload.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle")
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return errors.New("it is not JSON")
	}
	return err
}
