package sqlite

import (
	"fmt"
	"runtime/debug"

	"github.com/seawall-dev/seawall/seawall"
)

// txn is one transaction of the writer. What it changes of the writer's memory
// is undone if it rolls back; what others may see is published after commit.
type txn struct {
	*writer
	start   mark
	depths  []depthChange
	renewed []freshChange
	undos   []func()
	afters  []func()
}

// depthChange moves deliveries of a queue from or to a state.
type depthChange struct {
	queue int64
	state seawall.State
	by    int64
}

// begin makes t the next transaction, in the memory of the one before.
func (t *txn) begin(w *writer) *txn {
	clear(t.undos[:cap(t.undos)])
	clear(t.afters[:cap(t.afters)])
	*t = txn{writer: w, start: mark{seq: w.seq}, depths: t.depths[:0], renewed: t.renewed[:0], undos: t.undos[:0], afters: t.afters[:0]}
	return t
}

// mark is a point of a transaction to which its memory can be set back.
type mark struct {
	seq                            int64
	depths, renewed, undos, afters int
}

func (t *txn) mark() mark {
	return mark{t.seq, len(t.depths), len(t.renewed), len(t.undos), len(t.afters)}
}

// reset forgets what was noted since the mark, by an op that wrote nothing.
func (t *txn) reset(m mark) {
	for i := len(t.undos) - 1; i >= m.undos; i-- {
		t.undos[i]()
	}
	t.undoFresh(m.renewed)
	t.seq = m.seq
	t.depths, t.undos, t.afters = t.depths[:m.depths], t.undos[:m.undos], t.afters[:m.afters]
}

func (t *txn) undo() { t.reset(t.start) }

// publish shows others what the committed transaction changed.
func (t *txn) publish() {
	t.s.depths.apply(t.depths)
	t.s.fresh.apply(t.renewed)
	for _, f := range t.afters {
		f()
	}
}

func (t *txn) onUndo(f func())   { t.undos = append(t.undos, f) }
func (t *txn) onCommit(f func()) { t.afters = append(t.afters, f) }

func (t *txn) moved(queue int64, state seawall.State, by int64) {
	t.depths = append(t.depths, depthChange{queue, state, by})
}

// try runs f; a panic fails f alone and not the process, which holds what
// others are waiting for.
func (t *txn) try(f func(*txn) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.s.log.Error("store operation panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("store: panic: %v", r)
		}
	}()
	return f(t)
}
