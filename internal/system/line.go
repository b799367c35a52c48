package system

// line is who waits for a system: in flows that take turns, first come first
// served within each. The system's lock guards it.
type line struct {
	flows map[string]*flow
	turns []*flow // flows in which somebody waits, whose turn is next first
	count int
}

type flow struct {
	name    string
	waiters []*waiter
}

// waiter waits for a pass.
type waiter struct {
	flow  *flow
	hasty bool          // waits for no breaker that is open
	done  chan struct{} // closed once there is a pass, or an error
	pass  *Pass
	err   error
}

func (l *line) add(name string, hasty bool) *waiter {
	f := l.flows[name]
	if f == nil {
		if l.flows == nil {
			l.flows = map[string]*flow{}
		}
		f = &flow{name: name}
		l.flows[name] = f
		l.turns = append(l.turns, f)
	}
	w := &waiter{flow: f, hasty: hasty, done: make(chan struct{})}
	f.waiters = append(f.waiters, w)
	l.count++
	return w
}

// serve takes the first one out; its flow has its next turn after all others.
func (l *line) serve() *waiter {
	f := l.turns[0]
	w := f.waiters[0]
	l.turns = append(l.turns[:0], l.turns[1:]...)
	f.waiters[0] = nil
	f.waiters = f.waiters[1:]
	l.count--
	if len(f.waiters) > 0 {
		l.turns = append(l.turns, f)
	} else {
		delete(l.flows, f.name)
	}
	return w
}

// leave takes one out who waits no longer; it tells whether it was still there.
func (l *line) leave(w *waiter) bool {
	for i, other := range w.flow.waiters {
		if other != w {
			continue
		}
		w.flow.waiters = append(w.flow.waiters[:i], w.flow.waiters[i+1:]...)
		l.count--
		if len(w.flow.waiters) == 0 {
			l.drop(w.flow)
		}
		return true
	}
	return false
}

func (l *line) drop(f *flow) {
	delete(l.flows, f.name)
	for i, other := range l.turns {
		if other == f {
			l.turns = append(l.turns[:i], l.turns[i+1:]...)
			return
		}
	}
}

// turnAway ends the waiting of the hasty ones with err.
func (l *line) turnAway(err error) {
	for _, f := range append([]*flow(nil), l.turns...) {
		for _, w := range append([]*waiter(nil), f.waiters...) {
			if w.hasty && l.leave(w) {
				w.err = err
				close(w.done)
			}
		}
	}
}
