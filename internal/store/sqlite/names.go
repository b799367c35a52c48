package sqlite

import (
	"sync"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// line names a queue: a destination's deliveries in one lane.
type line struct {
	destination string
	laneKey
}

type laneKey = store.Lane

// names are the dictionaries as readers know them: what the writer committed,
// and what readers looked up since.
type names struct {
	mu     sync.RWMutex
	texts  map[int64]string
	ids    map[string]int64
	lines  map[int64]line
	byLine map[line]int64
}

var (
	qNames    = newQuery("SELECT id, text FROM name")
	qName     = newQuery("SELECT id FROM name WHERE text = ?")
	qNameText = newQuery("SELECT text FROM name WHERE id = ?")
	qAddName  = newQuery("INSERT INTO name (text) VALUES (?)")

	qLines   = newQuery("SELECT id, destination, system, shard FROM queue")
	qAddLine = newQuery("INSERT INTO queue (destination, system, shard) VALUES (?, ?, ?)")
)

// name returns the number of a name, giving it one if it is new.
func (t *txn) name(text string) (int64, error) {
	if id, ok := t.names[text]; ok {
		return id, nil
	}
	st := t.use(qAddName).word(text)
	if err := st.exec(); err != nil {
		return 0, err
	}
	id := t.lastID()
	t.names[text] = id
	t.onUndo(func() { delete(t.names, text) })
	t.onCommit(func() { t.s.names.add(id, text) })
	return id, nil
}

// queueOf returns the number of a queue, giving it one if it is new.
func (t *txn) queueOf(destination, system string, shard int) (int64, error) {
	l := line{destination, laneKey{System: system, Shard: shard}}
	if id, ok := t.queues[l]; ok {
		return id, nil
	}
	st := t.use(qAddLine).word(destination).word(system).int(int64(shard))
	if err := st.exec(); err != nil {
		return 0, err
	}
	id := t.lastID()
	t.queues[l], t.linesByID[id] = id, l
	t.onUndo(func() { delete(t.queues, l); delete(t.linesByID, id) })
	t.onCommit(func() { t.s.names.addLine(id, l) })
	return id, nil
}

// loadNames reads both dictionaries.
func (w *writer) loadNames() error {
	w.names, w.queues, w.linesByID = map[string]int64{}, map[line]int64{}, map[int64]line{}
	st := w.use(qNames)
	for st.next() {
		id, text := st.getInt(), st.getText()
		w.names[text] = id
		w.s.names.add(id, text)
	}
	if err := st.done(); err != nil {
		return err
	}
	st = w.use(qLines)
	for st.next() {
		id := st.getInt()
		l := line{st.getText(), laneKey{System: st.getText(), Shard: int(st.getInt())}}
		w.queues[l], w.linesByID[id] = id, l
		w.s.names.addLine(id, l)
	}
	return st.done()
}

func (n *names) add(id int64, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.texts[id], n.ids[text] = text, id
}

func (n *names) addLine(id int64, l line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines[id], n.byLine[l] = l, id
}

// text returns the name behind a number. A number that is not known yet was
// given by another process, or in the commit that is just being published.
func (n *names) text(c *conn, id int64) string {
	n.mu.RLock()
	text, ok := n.texts[id]
	n.mu.RUnlock()
	if ok {
		return text
	}
	st := c.use(qNameText).int(id)
	defer st.done()
	if st.next() {
		text = st.getText()
		n.add(id, text)
	}
	return text
}

// id returns the number of a name, false if it has none.
func (n *names) id(c *conn, text string) (int64, bool) {
	n.mu.RLock()
	id, ok := n.ids[text]
	n.mu.RUnlock()
	if ok {
		return id, true
	}
	st := c.use(qName).word(text)
	defer st.done()
	if !st.next() {
		return 0, false
	}
	id = st.getInt()
	n.add(id, text)
	return id, true
}

// line returns the queue behind a number.
func (n *names) line(c *conn, id int64) line {
	n.mu.RLock()
	l, ok := n.lines[id]
	n.mu.RUnlock()
	if !ok {
		n.readLines(c)
		n.mu.RLock()
		l = n.lines[id]
		n.mu.RUnlock()
	}
	return l
}

// queues returns the numbers of the queues that a destination has, or a system, or
// one in the other.
func (n *names) queues(destination, system string) (ids []int64) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for id, l := range n.lines {
		if (destination == "" || l.destination == destination) && (system == "" || l.System == system) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *names) queue(l line) (int64, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	id, ok := n.byLine[l]
	return id, ok
}

func (n *names) readLines(c *conn) {
	st := c.use(qLines)
	defer st.done()
	for st.next() {
		id := st.getInt()
		n.addLine(id, line{st.getText(), laneKey{System: st.getText(), Shard: int(st.getInt())}})
	}
}

// all lists what the dictionary holds: sources, and a few routes.
func (n *names) all() (texts []string) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for text := range n.ids {
		texts = append(texts, text)
	}
	return texts
}

func deliveryKey(seq int64, n int) int64 { return seq<<15 | int64(n) }

func keyEvent(key int64) int64 { return key >> 15 }

func keyN(key int64) int { return int(key & seawall.MaxDeliveries) }
