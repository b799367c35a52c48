package disk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Loss is what becomes of what was written and not synced.
type Loss uint8

const (
	Dropped Loss = iota // none of it is there
	Kept                // all of it is
	Pages               // any of its pages of 4,096 bytes are, in no order
	Sectors             // any of its sectors of 512 bytes
	Early               // what was written first is, the last of it torn
	losses
)

func (l Loss) String() string {
	return [...]string{"dropped", "kept", "any pages", "any sectors", "the first ones"}[l]
}

// RandomLoss draws one.
func RandomLoss(r *rand.Rand) Loss { return Loss(r.IntN(int(losses))) }

// Image is a disk in the course of a record. What has been synced is there for
// good; the rest waits.
type Image struct {
	// Lie tells which syncs did nothing: to see that this would be noticed. It
	// may be nil.
	Lie func(*Op) bool

	trace *Trace
	steps []step
	next  int
	files map[string]*file
	acked []string
	seen  map[string]bool
}

// step is the beginning or the end of a call.
type step struct {
	at  int
	op  *Op
	end bool
}

type file struct {
	synced  []byte
	waiting []*pending
}

type pending struct {
	op     *Op
	done   bool // the call ended
	synced *Op  // the sync that covers it
	lost   bool // a sync that covered it failed: no later one saves it
}

// NewImage is an empty disk before the first call of a record.
func NewImage(t *Trace) *Image {
	m := &Image{trace: t, files: map[string]*file{}, seen: map[string]bool{}}
	for _, op := range t.Ops {
		m.steps = append(m.steps, step{op.Began, op, false})
		if op.Ended >= 0 {
			m.steps = append(m.steps, step{op.Ended, op, true})
		}
	}
	slices.SortStableFunc(m.steps, func(a, b step) int { return a.at - b.at })
	return m
}

// ToSync goes on to the moment before the next sync takes hold: the process has
// done all that it does before the sync returns. It returns false at the end of
// the record, where everything was done. Before the next call of ToSync, Cut
// tells what the disk may hold.
func (m *Image) ToSync() (*Op, bool) {
	if m.next > 0 && m.next <= len(m.steps) {
		m.apply(m.steps[m.next-1])
	}
	for m.next < len(m.steps) {
		s := m.steps[m.next]
		m.next++
		if s.end && s.op.Kind == Sync {
			return s.op, true
		}
		m.apply(s)
	}
	m.next = len(m.steps) + 1
	return nil, false
}

// Acked are the ids of the events that had been acknowledged so far, in order.
func (m *Image) Acked() []string { return m.acked }

func (m *Image) apply(s step) {
	if s.op.Kind == Ack {
		for _, id := range s.op.Events() {
			if !s.end && !m.seen[id] {
				m.seen[id] = true
				m.acked = append(m.acked, id)
			}
		}
		return
	}
	f := m.files[s.op.Path]
	if f == nil {
		f = &file{}
		m.files[s.op.Path] = f
	}
	switch s.op.Kind {
	case Write, Truncate:
		if !s.end {
			f.waiting = append(f.waiting, &pending{op: s.op})
			return
		}
		for _, p := range f.waiting {
			if p.op == s.op {
				p.done = true
			}
		}
		if s.op.Err != "" {
			f.waiting = slices.DeleteFunc(f.waiting, func(p *pending) bool { return p.op == s.op })
		}
	case Sync:
		f.sync(s, m.Lie != nil && m.Lie(s.op))
	case Unlink:
		if s.end && s.op.Err == "" {
			delete(m.files, s.op.Path)
		}
	}
}

// sync makes last what had been written when it began.
func (f *file) sync(s step, lie bool) {
	if !s.end {
		for _, p := range f.waiting {
			if p.done && p.synced == nil {
				p.synced = s.op
			}
		}
		return
	}
	var rest []*pending
	for _, p := range f.waiting {
		switch {
		case p.synced != s.op:
		case s.op.Err != "" || lie:
			p.lost = true
		case !p.lost:
			f.synced = p.op.onto(f.synced)
			continue
		}
		rest = append(rest, p)
	}
	f.waiting = rest
}

// onto applies a write or a truncation.
func (o *Op) onto(b []byte) []byte {
	if o.Kind == Truncate {
		return resize(b, int(o.Offset))
	}
	if end := int(o.Offset) + len(o.Data); end > len(b) {
		b = resize(b, end)
	}
	copy(b[o.Offset:], o.Data)
	return b
}

func resize(b []byte, n int) []byte {
	if n <= len(b) {
		return b[:n]
	}
	return append(b, make([]byte, n-len(b))...)
}

// Cut writes the files as they may be if the power went now into dir, which it
// makes.
func (m *Image) Cut(dir string, loss Loss, r *rand.Rand) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	for path, f := range m.files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), f.cut(loss, r), 0o600); err != nil {
			return fmt.Errorf("write an image: %w", err)
		}
	}
	return nil
}

func (f *file) cut(loss Loss, r *rand.Rand) []byte {
	b := slices.Clone(f.synced)
	share, early := r.Float64(), r.IntN(len(f.waiting)+1)
	for i, p := range f.waiting {
		switch o := p.op; {
		case loss == Dropped, loss == Early && i > early:
		case loss == Kept, loss == Early && i < early:
			b = o.onto(b)
		case o.Kind == Truncate:
			if r.Float64() < share {
				b = o.onto(b)
			}
		case loss == Pages:
			b = o.partly(b, 4096, share, r)
		default:
			b = o.partly(b, 512, share, r)
		}
	}
	// The length of a file may be on the disk before its content.
	if end := f.length(); loss != Dropped && end > len(b) && r.IntN(2) == 0 {
		b = resize(b, end)
	}
	return b
}

// partly writes a share of the blocks that a write touches. Blocks are the
// disk's, so one may hold the end of one write and the beginning of the next.
func (o *Op) partly(b []byte, block int64, share float64, r *rand.Rand) []byte {
	for from := o.Offset; from < o.Offset+int64(len(o.Data)); {
		to := min((from/block+1)*block, o.Offset+int64(len(o.Data)))
		if r.Float64() < share {
			piece := &Op{Kind: Write, Offset: from, Data: o.Data[from-o.Offset : to-o.Offset]}
			b = piece.onto(b)
		}
		from = to
	}
	return b
}

func (f *file) length() int {
	n := len(f.synced)
	for _, p := range f.waiting {
		if p.op.Kind == Truncate {
			n = int(p.op.Offset)
		} else {
			n = max(n, int(p.op.Offset)+len(p.op.Data))
		}
	}
	return n
}
