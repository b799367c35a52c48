package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store/pack"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	// keptRepeats is how many duplicates, and how many conflicts, of an event
	// are kept as arrivals; the rest is counted only.
	keptRepeats = 20

	// keptBody bounds what is kept of a body that became no event.
	keptBody = 64 << 10
)

// repetition is what one batch adds to the repeats of one event.
type repetition struct {
	event                 [16]byte
	duplicates, conflicts []*acceptance
}

const (
	qHolders = `SELECT k.i, d.event, d.body, d.expires FROM unnest($1::int4[], $2::bytea[]) WITH ORDINALITY k(source, key, i)
		JOIN dedupe d ON d.source = k.source AND d.key = k.key`
	qRepeat = `INSERT INTO repeat (event, duplicates, conflicts) VALUES ($1, $2, $3)
		ON CONFLICT (event) DO UPDATE SET duplicates = repeat.duplicates + $2, conflicts = repeat.conflicts + $3
		RETURNING duplicates, conflicts`
	qAddRepeat = `INSERT INTO arrival (source, at, verdict, event, status, source_id, proof, remote, method, url, body_size, headers, body)
		VALUES ($1, $2, $3, $4, 200, $5, $6, $7, $8, $9, $10, $11, $12)`
)

var errKeyGone = seawall.Errorf(seawall.ErrUnavailable, "store: the event that was repeated is past its horizon this moment")

// repeated counts arrivals of events that are known, and keeps the first ones,
// within a transaction.
func (s *session) repeated(ctx context.Context, q querier, as []*acceptance) error {
	rs, expired, err := repetitions(ctx, q, as)
	if err != nil {
		return err
	}
	for _, a := range expired {
		if err := s.takeOver(ctx, q, a); err != nil {
			return err
		}
	}
	for _, r := range rs {
		var duplicates, conflicts int
		if err := q.QueryRow(ctx, qRepeat, r.event, len(r.duplicates), len(r.conflicts)).Scan(&duplicates, &conflicts); err != nil {
			return err
		}
		kept := append(first(r.duplicates, duplicates), first(r.conflicts, conflicts)...)
		for _, a := range kept {
			if err := addRepeat(ctx, q, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// first returns those of the added ones that are kept; now counts them all, the
// ones before included.
func first(added []*acceptance, now int) []*acceptance {
	return slices.Clone(added[:min(max(keptRepeats-(now-len(added)), 0), len(added))])
}

// repetitions finds the events that were repeated, in the order of their ids, so
// that two batches do not wait for each other in a circle.
func repetitions(ctx context.Context, q querier, as []*acceptance) (rs []*repetition, expired []*acceptance, err error) {
	sources, keys := make([]int32, len(as)), make([][]byte, len(as))
	for i, a := range as {
		sources[i], keys[i] = a.source, a.key
	}
	rows, err := q.Query(ctx, qHolders, sources, keys)
	if err != nil {
		return nil, nil, err
	}
	of := map[[16]byte]*repetition{}
	var again []*acceptance
	var i, found int64
	var event [16]byte
	var body []byte
	var expires time.Time
	_, err = pgx.ForEachRow(rows, []any{&i, &event, &body, &expires}, func() error {
		found++
		a := as[i-1]
		if !expires.After(a.Event.ReceivedAt) {
			expired = append(expired, a)
			return nil
		}
		a.out.Event = event
		if a.Event.ID == a.out.Event {
			again = append(again, a)
			return nil
		}
		r := of[event]
		if r == nil {
			r = &repetition{event: event}
			of[event] = r
		}
		if bytes.Equal(body, a.BodyHash[:]) {
			a.out.Verdict, r.duplicates = seawall.Duplicate, append(r.duplicates, a)
		} else {
			a.out.Verdict, r.conflicts = seawall.Conflict, append(r.conflicts, a)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if int(found) < len(as) {
		return nil, nil, errKeyGone
	}
	// The same event once more: its caller never heard that it was committed.
	for _, a := range again {
		at, err := find(ctx, q, a.Event.ID)
		if err != nil {
			return nil, nil, err
		}
		a.Event.Seq, a.out.Verdict = at.seq, seawall.New
	}
	for _, r := range of {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b *repetition) int { return bytes.Compare(a.event[:], b.event[:]) })
	for _, r := range rs {
		byTime := func(a, b *acceptance) int {
			return cmp.Compare(a.Event.ReceivedAt.UnixNano(), b.Event.ReceivedAt.UnixNano())
		}
		slices.SortStableFunc(r.duplicates, byTime)
		slices.SortStableFunc(r.conflicts, byTime)
	}
	return rs, expired, nil
}

// takeOver accepts an event whose key's horizon has passed, though not yet when
// the first event of its batch was received.
func (s *session) takeOver(ctx context.Context, q querier, a *acceptance) error {
	repeats, err := s.acceptWithin(ctx, nil, []*acceptance{a})
	if err != nil || len(repeats) == 0 {
		return err
	}
	return s.repeated(ctx, q, repeats) // another of the batch took it first
}

// addRepeat keeps an arrival of an event that is known.
func addRepeat(ctx context.Context, q querier, a *acceptance) error {
	e := a.Event
	var body []byte
	if a.out.Verdict == seawall.Conflict {
		body = e.Body[:min(len(e.Body), keptBody)]
	}
	_, err := q.Exec(ctx, qAddRepeat, legible(e.Source), e.ReceivedAt, int16(a.out.Verdict), [16]byte(a.out.Event),
		orNull(legible(e.SourceID)), orNull(legible(e.Proof)), orNull(legible(e.Remote)), orNull(legible(e.Method)), orNull(legible(e.URL)),
		int64(len(e.Body)), pack.Headers(e.Headers), body)
	return err
}
