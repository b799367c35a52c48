// Package pack turns the parts of a row that nothing is searched by into one
// blob, for both engines: JSON would cost more than the insert. The first byte
// is the layout, so that later ones can be told apart; numbers are varints;
// strings have their length before them.
package pack

import (
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// The layout is the first byte of every blob. One with headers has the second, in
// which names of theirs are numbers; the first had texts for all, and is read.
const (
	layout        = 1
	layoutHeaders = 2
)

type packer []byte

func newPacker(size int, layout byte) packer { return append(make(packer, 0, size), layout) }

func (p *packer) uint(v uint64) { *p = binary.AppendUvarint(*p, v) }
func (p *packer) int(v int64)   { *p = binary.AppendVarint(*p, v) }
func (p *packer) text(v string) { p.uint(uint64(len(v))); *p = append(*p, v...) }
func (p *packer) blob(v []byte) { p.uint(uint64(len(v))); *p = append(*p, v...) }

func (p *packer) bool(v bool) {
	if v {
		p.uint(1)
	} else {
		p.uint(0)
	}
}

func (p *packer) headers(h http.Header) {
	p.uint(uint64(len(h)))
	for k, vs := range h {
		p.name(k)
		p.uint(uint64(len(vs)))
		for _, v := range vs {
			p.text(v)
		}
	}
}

var errPacked = errors.New("store: a packed column is damaged, or a later seawall wrote it: run that one or a later one; seawall doctor tells whether the store is damaged")

type unpacker struct {
	b      []byte
	layout byte
	err    error
}

func unpack(b []byte) *unpacker {
	if len(b) == 0 || b[0] == 0 || b[0] > layoutHeaders {
		return &unpacker{err: errPacked}
	}
	return &unpacker{b: b[1:], layout: b[0]}
}

func (u *unpacker) uint() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.b, u.err = nil, errPacked
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) int() int64 {
	v, n := binary.Varint(u.b)
	if n <= 0 {
		u.b, u.err = nil, errPacked
		return 0
	}
	u.b = u.b[n:]
	return v
}

func (u *unpacker) bytes() []byte {
	n := u.uint()
	if n > uint64(len(u.b)) {
		u.b, u.err = nil, errPacked
		return nil
	}
	v := u.b[:n]
	u.b = u.b[n:]
	return v
}

func (u *unpacker) text() string { return string(u.bytes()) }
func (u *unpacker) bool() bool   { return u.uint() != 0 }

func (u *unpacker) blob() []byte {
	if b := u.bytes(); len(b) > 0 {
		return append(make([]byte, 0, len(b)), b...)
	}
	return nil
}

// count reads how many things follow, each of at least one byte.
func (u *unpacker) count() int {
	n := u.uint()
	if n > uint64(len(u.b)) {
		u.b, u.err = nil, errPacked
		return 0
	}
	return int(n)
}

func (u *unpacker) headers() http.Header {
	n := u.count()
	if n == 0 {
		return nil
	}
	h := make(http.Header, n)
	for range n {
		k := u.name()
		vs := make([]string, u.count())
		for i := range vs {
			vs[i] = u.text()
		}
		h[k] = vs
	}
	return h
}

// Attempt packs an attempt.
func Attempt(a *seawall.Attempt) []byte {
	p := newPacker(640, layoutHeaders) // of a usual one, which is then not copied as it grows
	p.int(int64(a.N))
	p.int(a.At.UnixMicro())
	p.int(int64(a.Took))
	p.uint(uint64(a.Outcome))
	p.text(a.Error)
	p.text(a.Next)
	p.int(a.Revision)
	p.text(a.Node)
	p.request(&a.Request)
	p.response(a.Response)
	if a.Step != seawall.Send || a.Destination != "" || len(a.Asked) > 0 { // of few: without them it may end here
		p.uint(uint64(a.Step))
		p.text(a.Destination)
	}
	for i := range a.Asked { // to the end
		p.exchange(&a.Asked[i])
	}
	return p
}

func (p *packer) request(r *seawall.Request) {
	p.text(r.Method)
	p.text(r.URL)
	p.headers(r.Headers)
	p.blob(r.Body)
	p.int(r.BodySize)
	p.bool(r.Original)
}

func (p *packer) response(r *seawall.Response) {
	p.bool(r != nil)
	if r == nil {
		return
	}
	p.int(int64(r.Status))
	p.text(r.Proto)
	p.headers(r.Headers)
	p.blob(r.Body)
	p.bool(r.Truncated)
}

func (p *packer) exchange(x *seawall.Exchange) {
	p.text(x.What)
	p.int(x.At.UnixMicro())
	p.bool(x.Shared)
	p.text(x.Error)
	p.request(&x.Request)
	p.response(x.Response)
}

// ParseAttempt reads what Attempt wrote.
func ParseAttempt(b []byte) (a seawall.Attempt, err error) {
	u := unpack(b)
	a.N = int(u.int())
	a.At = time.UnixMicro(u.int()).UTC()
	a.Took = time.Duration(u.int())
	a.Outcome = seawall.Outcome(u.uint())
	a.Error, a.Next = u.text(), u.text()
	a.Revision, a.Node = u.int(), u.text()
	a.Request, a.Response = u.request(), u.response()
	if u.err == nil && len(u.b) > 0 {
		a.Step, a.Destination = seawall.Step(u.uint()), u.text()
	}
	for u.err == nil && len(u.b) > 0 {
		a.Asked = append(a.Asked, u.exchange())
	}
	return a, u.err
}

func (u *unpacker) request() (r seawall.Request) {
	r.Method, r.URL = u.text(), u.text()
	r.Headers = u.headers()
	r.Body, r.BodySize = u.blob(), u.int()
	r.Original = u.bool()
	return r
}

func (u *unpacker) response() *seawall.Response {
	if !u.bool() {
		return nil
	}
	return &seawall.Response{Status: int(u.int()), Proto: u.text(), Headers: u.headers(), Body: u.blob(), Truncated: u.bool()}
}

func (u *unpacker) exchange() (x seawall.Exchange) {
	x.What, x.At = u.text(), time.UnixMicro(u.int()).UTC()
	x.Shared, x.Error = u.bool(), u.text()
	x.Request, x.Response = u.request(), u.response()
	return x
}

// Readdress says in a packed attempt of a delivery which destination it was made
// to, now that the delivery goes from one to another; of one that was made to the
// other, nothing.
func Readdress(attempt []byte, from, to string) ([]byte, error) {
	a, err := ParseAttempt(attempt)
	if err != nil {
		return nil, err
	}
	if a.Destination == "" {
		a.Destination = from
	}
	if a.Destination == to {
		a.Destination = ""
	}
	return Attempt(&a), nil
}

// Headers packs headers; nil for none.
func Headers(h http.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	p := newPacker(256, layoutHeaders)
	p.headers(h)
	return p
}

// ParseHeaders reads what Headers wrote.
func ParseHeaders(b []byte) (http.Header, error) {
	if len(b) == 0 {
		return nil, nil
	}
	u := unpack(b)
	h := u.headers()
	return h, u.err
}

// Plan packs what the routes decided; nil for nothing.
func Plan(ds []seawall.Decision) []byte {
	if len(ds) == 0 {
		return nil
	}
	p := newPacker(64, layout)
	p.uint(uint64(len(ds)))
	for _, d := range ds {
		p.text(d.Route)
		p.bool(d.Matched)
		p.text(d.Why)
		p.bool(d.Error)
	}
	return p
}

// ParsePlan reads what Plan wrote.
func ParsePlan(b []byte) ([]seawall.Decision, error) {
	if len(b) == 0 {
		return nil, nil
	}
	u := unpack(b)
	ds := make([]seawall.Decision, u.count())
	for i := range ds {
		ds[i] = seawall.Decision{Route: u.text(), Matched: u.bool(), Why: u.text(), Error: u.bool()}
	}
	return ds, u.err
}

// Request packs how an event came: method, URL, sender, proof and headers.
func Request(e *seawall.Event) []byte {
	p := newPacker(512, layoutHeaders)
	p.text(e.Method)
	p.text(e.URL)
	p.text(e.Remote)
	p.text(e.Proof)
	p.headers(e.Headers)
	return p
}

// ParseRequest reads what Request wrote into e, the headers only if asked for.
func ParseRequest(b []byte, e *seawall.Event, headers bool) error {
	u := unpack(b)
	e.Method, e.URL, e.Remote, e.Proof = u.text(), u.text(), u.text(), u.text()
	if headers {
		e.Headers = u.headers()
	}
	return u.err
}
