package postgres

import (
	"slices"
	"sync"
)

// knownLines are the numbers of positions, which never change: as many as there is
// room for.
type knownLines struct {
	mu sync.Mutex
	of map[place]int64
}

const keptLines = 100_000

// pickedLines are positions that are known, by number, and those that are not, by place.
type pickedLines struct {
	pick
	queues []int32
}

// pick finds the numbers of places.
func (k *knownLines) pick(add planner) (p pickedLines) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, at := range add.places {
		if id, ok := k.of[at]; ok {
			p.ids = append(p.ids, id)
		} else {
			p.places, p.queues = append(p.places, at), append(p.queues, add.queues[i])
		}
	}
	slices.Sort(p.ids)
	return p
}

// note keeps numbers of positions that were there, which may be gone with what made
// them: who finds nothing under one forgets it.
func (k *knownLines) note(ls []*position) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil || len(k.of)+len(ls) > keptLines {
		k.of = map[place]int64{}
	}
	for _, l := range ls {
		k.of[l.place] = l.id
	}
}

func (k *knownLines) forget(at place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, at)
}

// planner gathers places, each once, with a queue that leads there.
type planner struct {
	seen   map[place]bool
	places []place
	queues []int32
}

func (p *planner) add(at place, queue int32) {
	if at != (place{}) && !p.seen[at] {
		p.seen[at] = true
		p.places, p.queues = append(p.places, at), append(p.queues, queue)
	}
}
