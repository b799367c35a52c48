// Package record keeps the current records of entities for a few seconds, so that
// one request serves all deliveries that want the same record at a time.
package record

import (
	"context"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// Record is what a fetch came to. It is never changed.
type Record struct {
	Began   time.Time        // when it was asked for; zero: it was not
	Request *seawall.Request // without secrets; nil if it could not be made
	Reply   send.Reply
	JSON    []byte // what of the answer is the record
	Gone    bool   // there is none any more
	Err     error  // it could not be read
}

// Options bound what is kept. The zero value is as docs/fetch.md says.
type Options struct {
	Now     func() time.Time // default time.Now
	Age     time.Duration    // of what serves others; default 5 s
	Entries int              // default 1,000
	Bytes   int              // of answers; default 16 MiB
}

// Records fetches and keeps records. It is safe for concurrent use.
type Records struct {
	Options
	mu     sync.Mutex
	kept   map[string]*Record
	ages   []aged // in the order in which they came
	bytes  int
	flying map[string]*flight
	sweeps bool // one is to come
}

type aged struct {
	key  string
	of   *Record
	till time.Time
}

// flight is a request under way.
type flight struct {
	done chan struct{}
	of   *Record // once it is done
}

// New makes Records.
func New(o Options) *Records {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Age == 0 {
		o.Age = 5 * time.Second
	}
	if o.Entries == 0 {
		o.Entries = 1000
	}
	if o.Bytes == 0 {
		o.Bytes = 16 << 20
	}
	return &Records{Options: o, kept: map[string]*Record{}, flying: map[string]*flight{}}
}

// Kept returns a record that was asked for after a time and is here; nil if there
// is none.
func (r *Records) Kept(key string, since time.Time) *Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.serves(key, since)
}

// Get returns a record that was asked for after a time: one that is here, one that
// somebody is asking for now, or by ask. shared tells that it was asked for by
// another one. At most one request for a key is under way. The error is ctx's.
func (r *Records) Get(ctx context.Context, key string, since time.Time, ask func(context.Context) *Record) (of *Record, shared bool, err error) {
	for {
		r.mu.Lock()
		if of := r.serves(key, since); of != nil {
			r.mu.Unlock()
			return of, true, nil
		}
		f := r.flying[key]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			r.flying[key] = f
			r.mu.Unlock()
			return r.lead(ctx, key, f, ask), false, nil
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-f.done:
		}
		// One that failed is theirs too who waited for it, unless it was only cut off,
		// or asked before what they want to see had happened.
		if of := f.of; of != nil && of.Err != nil && !of.Reply.Canceled && r.after(of, since) {
			return of, true, nil
		}
	}
}

// lead asks for all who wait.
func (r *Records) lead(ctx context.Context, key string, f *flight, ask func(context.Context) *Record) *Record {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.flying, key)
		if f.of != nil && f.of.Err == nil {
			r.keep(key, f.of)
		}
		close(f.done)
	}()
	f.of = ask(ctx)
	return f.of
}

// after tells whether a record was asked for after a time.
func (r *Records) after(of *Record, since time.Time) bool {
	return !of.Began.Before(since)
}

// serves is the record that is here, if it does. The caller has the lock.
func (r *Records) serves(key string, since time.Time) *Record {
	of := r.kept[key]
	if of == nil || !r.after(of, since) || r.Now().Sub(of.Began) > r.Age {
		return nil
	}
	return of
}

func size(of *Record) int {
	if of.Reply.Response == nil {
		return 0
	}
	return len(of.Reply.Response.Body)
}

// keep keeps a record in place of an earlier one. The caller has the lock.
func (r *Records) keep(key string, of *Record) {
	r.kept[key] = of
	r.bytes += size(of)
	r.ages = append(r.ages, aged{key, of, of.Began.Add(r.Age)})
	r.drop(r.Now())
	if !r.sweeps && len(r.ages) > 0 {
		r.sweeps = true
		time.AfterFunc(r.Age, r.sweep)
	}
}

// drop lets go of what is too old, and of the oldest where there is too much.
func (r *Records) drop(now time.Time) {
	n := 0
	for ; n < len(r.ages); n++ {
		a := &r.ages[n]
		if len(r.ages)-n <= r.Entries && r.bytes <= r.Bytes && now.Before(a.till) {
			break
		}
		r.bytes -= size(a.of)
		if r.kept[a.key] == a.of {
			delete(r.kept, a.key)
		}
	}
	clear(r.ages[:n])
	if r.ages = r.ages[n:]; len(r.ages) == 0 {
		r.ages = nil
	}
}

// sweep keeps nothing beyond its time where nobody asks any more.
func (r *Records) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(r.Now())
	if r.sweeps = len(r.ages) > 0; r.sweeps {
		time.AfterFunc(r.Age, r.sweep)
	}
}
