// Package transfer moves a store into another one, of any engine: chunk by chunk,
// each with a mark, so that it goes on where it was killed; and then compares
// both, row by row.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Options say how a store is moved. The zero value is fine.
type Options struct {
	Chunk    int                               // rows moved in one transaction; default 500
	Progress func(part store.Part, rows int64) // called after each, with the rows of the part that this call moved
}

// Report says what a move did.
type Report struct {
	Parts   []Part `json:"parts"`
	Resumed bool   `json:"resumed"` // some of it was there already
	Already bool   `json:"already"` // all of it was
}

// Part is what one part holds, the same in both stores.
type Part struct {
	Name       store.Part `json:"part"`
	Rows       int64      `json:"rows"`
	Deliveries int64      `json:"deliveries,omitzero"`
	Attempts   int64      `json:"attempts,omitzero"`
	Digest     string     `json:"digest"` // SHA-256 of its rows in a form that is the same for all engines
}

// Move moves all that from holds into to, which is empty or was being moved into
// from the same store, and compares both at the end.
func Move(ctx context.Context, from, to store.Transfer, o Options) (Report, error) {
	if o.Chunk <= 0 {
		o.Chunk = 500
	}
	var r Report
	source, err := from.Identity(ctx)
	if err != nil {
		return r, fmt.Errorf("read the source: %w", err)
	}
	target, err := to.Identity(ctx)
	if err != nil {
		return r, fmt.Errorf("read the target: %w", err)
	}
	switch {
	case source.ID == target.ID:
		return r, seawall.Errorf(seawall.ErrInvalid, "source and target are the same store, or one is a backup of the other")
	case source.Origin != 0 && !source.Done:
		return r, seawall.Errorf(seawall.ErrConflict, "the source is itself a copy that is not whole")
	case target.Origin == source.ID && target.Done:
		return o.already(ctx, from, target)
	}
	if err := to.Adopt(ctx, source.ID); err != nil {
		return r, err
	}
	r.Resumed = target.Origin == source.ID
	for _, p := range store.Parts {
		if err := o.copyPart(ctx, from, to, p, target.Marks[p]); err != nil {
			return r, fmt.Errorf("move %s: %w", p, err)
		}
	}
	sum := sha256.New()
	for _, p := range store.Parts {
		part, err := o.compare(ctx, from, to, p)
		if err != nil {
			return r, err
		}
		r.Parts = append(r.Parts, part)
		sum.Write([]byte(part.Digest))
	}
	if err := to.Finish(ctx, whole(sum)); err != nil {
		return r, fmt.Errorf("finish: %w", err)
	}
	return r, nil
}

// already says that nothing is to be done, if the source is still what was moved.
func (o Options) already(ctx context.Context, from store.Transfer, target store.Identity) (Report, error) {
	r := Report{Already: true, Resumed: true}
	sum := sha256.New()
	for _, p := range store.Parts {
		part, err := o.digest(ctx, from, p)
		if err != nil {
			return r, fmt.Errorf("read the source's %s: %w", p, err)
		}
		r.Parts = append(r.Parts, part)
		sum.Write([]byte(part.Digest))
	}
	if whole(sum) != target.Digest {
		return r, seawall.Errorf(seawall.ErrConflict, "the source was moved before, and has changed since: it was served again").
			WithHint("decide which of the two goes on; to move this one again, begin with an empty target")
	}
	return r, nil
}

func (o Options) copyPart(ctx context.Context, from, to store.Transfer, p store.Part, after int64) error {
	rows := int64(0)
	for more := true; more; {
		c, err := from.Export(ctx, p, after, o.Chunk)
		if err != nil {
			return err
		}
		if err := to.Import(ctx, c); err != nil {
			return err
		}
		after, more = c.Next, c.More
		rows += int64(c.Rows())
		if o.Progress != nil {
			o.Progress(p, rows)
		}
	}
	return nil
}

// compare reads a part of both stores.
func (o Options) compare(ctx context.Context, from, to store.Transfer, p store.Part) (Part, error) {
	a, err := o.digest(ctx, from, p)
	if err != nil {
		return a, fmt.Errorf("read the source's %s: %w", p, err)
	}
	b, err := o.digest(ctx, to, p)
	if err != nil {
		return a, fmt.Errorf("read the target's %s: %w", p, err)
	}
	if a != b {
		return a, seawall.Errorf(seawall.ErrConflict, "%s differ: %d rows with digest %.12s in the source, %d with %.12s in the target",
			p, a.Rows, a.Digest, b.Rows, b.Digest).
			WithHint("something wrote to one of them meanwhile: stop it, empty the target and begin again; the source is as it was")
	}
	return a, nil
}

// digest reads a part as a stream of JSON, which is the same for all engines.
func (o Options) digest(ctx context.Context, s store.Transfer, p store.Part) (Part, error) {
	part, sum := Part{Name: p}, sha256.New()
	to := json.NewEncoder(sum)
	for after, more := int64(0), true; more; {
		c, err := s.Export(ctx, p, after, o.Chunk)
		if err != nil {
			return part, err
		}
		if err := encode(to, &c); err != nil {
			return part, err
		}
		part.count(&c)
		after, more = c.Next, c.More
	}
	part.Digest = hex.EncodeToString(sum.Sum(nil))
	return part, nil
}

func (p *Part) count(c *store.Chunk) {
	p.Rows += int64(c.Rows())
	for i := range c.Events {
		p.Deliveries += int64(len(c.Events[i].Deliveries))
		for j := range c.Events[i].Deliveries {
			p.Attempts += int64(len(c.Events[i].Deliveries[j].Attempts))
		}
	}
}

// whole is the digest of the parts' digests, as much of it as a memo holds.
func whole(sum hash.Hash) int64 {
	return int64(binary.BigEndian.Uint64(sum.Sum(nil)) >> 1)
}
