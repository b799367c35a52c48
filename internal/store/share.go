package store

import (
	"cmp"
	"slices"
	"time"
)

// Sharer is a node that shares what a system takes at a time with others.
type Sharer struct {
	Node  string
	Part  int   // what it counts as having: its share, and what of an earlier one is still under way
	Want  int   // at most
	Turns int64 // times that it kept some, as against the others
	Until time.Time
}

// Divide gives a node that asks its share. mine is what it is, a zero one where it
// is new, and others are those whose time has not run out. It returns the share,
// and what the node is from now on.
//
// As far as all want some, each gets the same, and who wants less leaves the rest
// to the others. What cannot be split goes to those that had the fewest turns. What
// others still have above their part is given to nobody before they let go of it.
func Divide(asks Share, mine Sharer, others []Sharer) (share int, next Sharer) {
	next = mine
	next.Want = max(asks.Want, 0)
	free := max(asks.Limit, 0)
	for i, o := range others {
		free -= o.Part
		if mine.Turns == 0 && (i == 0 || o.Turns < next.Turns) {
			next.Turns = o.Turns // who is new is not owed the past
		}
	}
	if mine.Part > 0 {
		next.Turns++
	}
	share = max(min(evenPart(asks.Limit, next, others), free), 0)
	// What is under way was given before, and stays its own until it has ended.
	next.Part = max(share, min(asks.Used, mine.Part))
	return share, next
}

// evenPart is what a node would have if all had what they may.
func evenPart(limit int, node Sharer, others []Sharer) int {
	all := append(slices.Clone(others), node)
	each, rest := 0, max(limit, 0)
	for {
		hungry, rounds := 0, rest
		for _, s := range all {
			if s.Want > each {
				hungry++
				rounds = min(rounds, s.Want-each)
			}
		}
		if hungry == 0 || hungry > rest {
			break
		}
		rounds = min(rounds, rest/hungry)
		each, rest = each+rounds, rest-rounds*hungry
	}
	slices.SortFunc(all, func(a, b Sharer) int {
		return cmp.Or(cmp.Compare(a.Turns, b.Turns), cmp.Compare(min(b.Part, 1), min(a.Part, 1)), cmp.Compare(a.Node, b.Node))
	})
	for _, s := range all {
		more := 0
		if s.Want > each && rest > 0 {
			more, rest = 1, rest-1
		}
		if s.Node == node.Node {
			return min(s.Want, each) + more
		}
	}
	return 0
}
