package postgres

import (
	"slices"

	"github.com/seawall-dev/seawall/internal/store"
)

// fences are settlements of different deliveries, with what must stand for them to
// have effect.
type fences struct {
	ss []*settlement
	of []int32 // the number of each one's fence
}

func (s *session) fences(ss []*settlement) *fences { return &fences{ss: ss} }

// read answers from what a settling statement returns.
func (f *fences) read(row [][]byte) error {
	standing, err := parseInts(nil, row[0])
	if err != nil {
		return err
	}
	written, err := parseInts(nil, row[1])
	if err != nil {
		return err
	}
	stands := make(map[int32]bool, len(standing))
	for _, i := range standing {
		stands[int32(i)] = true
	}
	done := make(map[int64]bool, len(written))
	for _, key := range written {
		done[key] = true
	}
	f.answer(stands, done)
	return nil
}

// answer answers those that the statement fitted: done, or fenced.
func (f *fences) answer(stands map[int32]bool, done map[int64]bool) {
	for i, st := range f.ss {
		switch {
		case !stands[f.of[i]]:
			*st.out, st.answered = store.Fenced, true
		case done[st.key]:
			*st.out, st.answered = store.Done, true
		}
	}
}

// fence is what must stand for a settlement to have effect.
type fence struct {
	lane  int32
	node  string
	token int64
}

// fill makes the columns. Rows are locked in the order of their ids; the statement finds
// the columns of a delivery by that order.
func (f *fences) fill(cs *columns) {
	ss := f.ss
	cs.reset(len(settleTypes))
	numbers := map[fence]int32{}
	f.of = make([]int32, len(ss))
	var all []fence
	for _, st := range ss {
		of := fence{st.lane, st.Lease.Node, st.Lease.Token}
		if _, ok := numbers[of]; !ok {
			numbers[of] = 0
			all = append(all, of)
		}
	}
	slices.SortFunc(all, func(a, b fence) int { return int(a.lane - b.lane) })
	for i, of := range all {
		numbers[of] = int32(i + 1)
		cs.row(atFences).int4(of.lane).word(of.node).int8(of.token)
	}
	sorted := make([]int, len(ss))
	for i, st := range ss {
		f.of[i] = numbers[fence{st.lane, st.Lease.Node, st.Lease.Token}]
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(a, b int) int { return int(ss[a].key - ss[b].key) })
	for _, i := range sorted {
		st := ss[i]
		first, at := atFinal, st.At
		if !st.State.Final() {
			first = atAgain
			at = st.due()
		}
		cs.row(first).int8(st.key).int4(f.of[i]).int2(int16(st.State) | st.step()).time(at)
		if st.Attempt != nil {
			cs.int4(int32(st.Attempt.N))
		} else {
			cs.null()
		}
		cs.text(st.Reason).blob(st.attempt)
	}
}
