package expr

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"
)

// fuel bounds one run. Its unit is about a nanosecond of work, or a byte of
// memory: every step of the interpreter costs some, and so does, beforehand,
// every function whose cost grows with its input (see rewriter). So the same
// expression ends the same way on the same payload, however busy the machine
// is; the clock only stops what the prices are wrong about.
//
// It is the interpreter's context, since that is asked at each step.
type fuel struct {
	context.Context
	left  int64
	steps uint32
	last  time.Time // of the latest look at the clock
	spent time.Duration
	err   error
}

const (
	tank     = 50_000_000 // 50 ms of work
	perStep  = 60
	perNode  = 20
	longest  = 75 * time.Millisecond
	interval = 25 * time.Millisecond // a longer one is a busy machine, not a costly step
)

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func newFuel(ctx context.Context) *fuel {
	return &fuel{Context: ctx, left: tank}
}

// Done is asked before each step.
func (f *fuel) Done() <-chan struct{} {
	f.left -= perStep
	if f.steps++; f.steps&31 == 0 {
		f.look()
	}
	if f.left < 0 || f.err != nil {
		f.fail()
		return closed
	}
	return nil
}

func (f *fuel) Err() error { return f.failed() }

// look counts the time since the last look, and stops if the caller did.
func (f *fuel) look() {
	now := time.Now()
	if !f.last.IsZero() {
		f.spent += min(now.Sub(f.last), interval)
	}
	f.last = now
	if f.spent > longest {
		f.left = -1
	}
	if err := f.Context.Err(); err != nil && f.err == nil {
		f.err = err
	}
}

func (f *fuel) fail() {
	if f.err == nil {
		f.err = fmt.Errorf("%w: the expression takes more time or memory than it may", ErrLimit)
	}
}

// failed returns why the run was stopped, nil if it was not.
func (f *fuel) failed() error { return f.err }

// spend takes n units, and tells whether they were there.
func (f *fuel) spend(n int64) bool {
	if n > f.left {
		f.left = -1
		f.fail()
		return false
	}
	f.left -= n
	return true
}

// deepest is how far values may nest that an expression builds.
const deepest = 10_000

// walk pays for looking at all of v, sixteenths units for each 16 bytes of text,
// all of it times factor. It tells whether there was enough.
func (f *fuel) walk(v any, sixteenths, factor int64) bool {
	return f.descend(v, sixteenths, factor, deepest)
}

func (f *fuel) descend(v any, sixteenths, factor int64, depth int) bool {
	cost := int64(perNode)
	switch v := v.(type) {
	case string:
		cost += int64(len(v)) * sixteenths / 16
	case json.Number:
		cost += int64(len(v))
	case *big.Int:
		cost += int64(v.BitLen())
	case []any:
		if depth == 0 {
			return f.spend(tank + 1)
		}
		for _, e := range v {
			if !f.descend(e, sixteenths, factor, depth-1) {
				return false
			}
		}
	case map[string]any:
		if depth == 0 {
			return f.spend(tank + 1)
		}
		for k, e := range v {
			if !f.spend((2*perNode+int64(len(k))*sixteenths/16)*factor) || !f.descend(e, sixteenths, factor, depth-1) {
				return false
			}
		}
	}
	return f.spend(cost * factor)
}

// surface is the size of v itself, without what it holds.
func surface(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v))
	case []any:
		return 16 * int64(len(v))
	case map[string]any:
		return 80 * int64(len(v))
	case *big.Int:
		return int64(v.BitLen())
	}
	return 1
}
