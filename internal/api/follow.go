package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	followPrefix = "f" // of the cursors of those who follow along
	followWait   = 30 * time.Second
	followPoll   = 500 * time.Millisecond
)

// place is where someone who follows along stands: all up to seq has been seen,
// and of what comes then, the store has searched up to its own cursor.
type place struct {
	seq    int64
	cursor string
}

func (p place) String() string {
	return followPrefix + strconv.FormatInt(p.seq, 10) + "." + p.cursor
}

// start reads where a follower wants to begin.
func (s *server) start(ctx context.Context, in *EventQuery) (p place, err error) {
	switch {
	case in.Cursor != "":
		seq, cursor, _ := strings.Cut(strings.TrimPrefix(in.Cursor, followPrefix), ".")
		if p.seq, err = strconv.ParseInt(seq, 10, 64); err != nil || p.seq < 0 || !strings.HasPrefix(in.Cursor, followPrefix) {
			return p, seawall.Errorf(seawall.ErrInvalid, "cursor: this is not the next of a page of following along")
		}
		p.cursor = cursor
		return p, nil
	case in.After == "now", in.After == "":
		p.seq, err = s.latest(ctx)
		return p, err
	}
	if p.seq, err = strconv.ParseInt(in.After, 10, 64); err != nil || p.seq < 0 {
		return p, seawall.Errorf(seawall.ErrInvalid, "after: %q is not a sequence number", in.After).
			WithHint("the seq of an event, 0 for the first one kept, or now")
	}
	return p, nil
}

// follow answers with the events after a place, as soon as there is one.
func (s *server) follow(ctx context.Context, in *EventQuery, f store.EventFilter) (*answer[Page[Event]], error) {
	var wait time.Duration
	if in.Wait != "" {
		var ok bool
		if wait, ok = duration(in.Wait); !ok {
			return nil, seawall.Errorf(seawall.ErrInvalid, "wait: %q is not a duration", in.Wait).WithHint("for example 20s")
		}
	}
	at, err := s.start(ctx, in)
	if err != nil {
		return nil, err
	}
	var over <-chan time.Time
	if wait > 0 {
		over = s.After(min(wait, followWait))
	}
	for {
		var changed <-chan struct{}
		if s.Changed != nil {
			changed = s.Changed() // before looking, so that nothing falls between
		}
		items, next, err := s.after(ctx, f, at, in.Limit)
		if err != nil {
			return nil, err
		}
		at = next
		if len(items) > 0 || wait == 0 || !s.pause(ctx, at.cursor != "", changed, over) {
			return &answer[Page[Event]]{Page[Event]{Data: each(items, formEvent), Next: at.String()}}, nil
		}
	}
}

// pause waits until it is time to look again, which is at once if there is more
// to search; false: it is time to answer.
func (s *server) pause(ctx context.Context, more bool, changed <-chan struct{}, over <-chan time.Time) bool {
	var tick <-chan time.Time
	switch {
	case more:
		now := make(chan struct{})
		close(now)
		changed = now
	case changed == nil:
		tick = s.After(followPoll)
	}
	select {
	case <-over:
		return false
	case <-s.Stopping:
		return false
	case <-ctx.Done():
		return false
	default:
	}
	select {
	case <-changed:
		return true
	case <-tick:
		return true
	case <-over:
	case <-s.Stopping:
	case <-ctx.Done():
	}
	return false
}

// after returns the events after a place, and the place after them.
func (s *server) after(ctx context.Context, f store.EventFilter, at place, limit int) ([]seawall.Event, place, error) {
	newest, err := s.settled(ctx)
	if err != nil {
		return nil, at, err
	}
	f.After = at.seq
	if at.seq == 0 {
		f.After = -1 // 0 would be newest first
	}
	l, err := s.Store.ListEvents(ctx, f, store.Page{Cursor: at.cursor, Limit: limit})
	if err != nil {
		return nil, at, fmt.Errorf("follow events: %w", err)
	}
	if l.Next != "" {
		return l.Items, place{at.seq, l.Next}, nil
	}
	// All that there was has been searched: whoever waits for a rare event does
	// not search it again.
	at = place{seq: max(at.seq, newest)}
	if n := len(l.Items); n > 0 {
		at.seq = max(at.seq, l.Items[n-1].Seq)
	}
	return l.Items, at, nil
}

// settled is the sequence of the newest event if no earlier one can appear any
// more, else 0. On other nodes events may be on their way whose numbers are lower:
// the store shows a follower none that one of those may still precede.
func (s *server) settled(ctx context.Context) (int64, error) {
	newest, err := s.latest(ctx)
	if err != nil || newest == 0 {
		return 0, err
	}
	before := newest - 1
	if before == 0 {
		before = -1 // 0 would be newest first
	}
	l, err := s.Store.ListEvents(ctx, store.EventFilter{After: before}, store.Page{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("newest event: %w", err)
	}
	if len(l.Items) == 0 {
		return 0, nil
	}
	return newest, nil
}

// latest is the sequence of the newest event, 0 if there is none.
func (s *server) latest(ctx context.Context) (int64, error) {
	l, err := s.Store.ListEvents(ctx, store.EventFilter{}, store.Page{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("newest event: %w", err)
	}
	if len(l.Items) == 0 {
		return 0, nil
	}
	return l.Items[0].Seq, nil
}
