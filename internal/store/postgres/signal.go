package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/store"
)

const (
	// tellEvery is the least time between two words to the others: a NOTIFY
	// takes a lock that all of a database's share until it is committed.
	tellEvery = 50 * time.Millisecond

	// maxTold is how many different signals wait for that; more are dropped.
	maxTold = 1000

	// longestWord is what the server takes as one.
	longestWord = 7900

	// quiet is how long nothing may be heard before the connection is tried.
	quiet = 15 * time.Second

	relisten = time.Second
)

const (
	qListen = "LISTEN seawall"

	// What may be lost need not be waited for.
	qTell = `SELECT pg_notify('seawall', w.word) FROM set_config('synchronous_commit', 'off', true), unnest($1::text[]) w(word)`
)

// word is a signal as it is passed on. Self tells whose it is.
type word struct {
	Self        string `json:"i"`
	System      string `json:"s,omitempty"`
	Shard       int    `json:"n,omitempty"`
	Destination string `json:"d,omitempty"`
}

// signals gathers what is to be told.
type signals struct {
	self string
	mu   sync.Mutex
	told map[store.Signal]bool
	some chan struct{} // holds one while told is not empty
	end  chan struct{}
	done sync.WaitGroup
}

func newSignals() *signals {
	return &signals{self: rand.Text(), told: map[store.Signal]bool{}, some: make(chan struct{}, 1), end: make(chan struct{})}
}

func (s *Store) Tell(sig store.Signal) {
	g := s.signals
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.told) >= maxTold {
		return
	}
	g.told[sig] = true
	select {
	case g.some <- struct{}{}:
	default:
	}
}

// take returns what waits, as words.
func (g *signals) take() (words []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for sig := range g.told {
		w := word{g.self, sig.System, sig.Shard, sig.Destination}
		b, err := json.Marshal(w)
		if err != nil || len(b) > longestWord {
			b, _ = json.Marshal(word{Self: g.self})
		}
		words = append(words, string(b))
	}
	clear(g.told)
	return words
}

// run passes on what is told, until close.
func (g *signals) run(tell func(words []string)) {
	for {
		select {
		case <-g.end:
			return
		case <-g.some:
		}
		if words := g.take(); len(words) > 0 {
			tell(words)
		}
		pause := time.NewTimer(tellEvery)
		select {
		case <-g.end:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

func (g *signals) close() {
	close(g.end)
	g.done.Wait()
}

// tell passes words on; if that fails they are lost, which the others bear.
func (s *Store) tell(ctx context.Context, words []string) {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	if _, err := s.pool.Exec(ctx, qTell, words); err != nil {
		s.log.Debug("other nodes not told", "error", err)
	}
}

// Listen has a connection of its own, and connects again when it breaks.
func (s *Store) Listen(ctx context.Context, f func(store.Signal)) error {
	for ctx.Err() == nil {
		if err := s.listen(ctx, f); err != nil && ctx.Err() == nil {
			s.log.Warn("other nodes not heard", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
	return nil
}

// listen hears until the connection breaks or ctx ends.
func (s *Store) listen(ctx context.Context, f func(store.Signal)) error {
	within, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	c, err := pgx.ConnectConfig(within, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), relisten)
		defer cancel()
		c.Close(within)
	}()
	if _, err := c.Exec(within, qListen); err != nil {
		return err
	}
	f(store.Signal{}) // what was said before was missed
	for {
		if err := s.hear(ctx, c, f); err != nil {
			return err
		}
	}
}

// hear waits for one word, for a while; if there is none it makes sure that the
// connection would have brought it.
func (s *Store) hear(ctx context.Context, c *pgx.Conn, f func(store.Signal)) error {
	within, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := c.WaitForNotification(within)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded) && !c.IsClosed():
		within, cancel := context.WithTimeout(ctx, flushFor)
		defer cancel()
		if err := c.Ping(within); err != nil {
			return err
		}
		return writable(c.PgConn())
	case err != nil:
		return err
	}
	var w word
	if json.Unmarshal([]byte(n.Payload), &w) == nil && w.Self != s.signals.self {
		f(store.Signal{Lane: store.Lane{System: w.System, Shard: w.Shard}, Destination: w.Destination})
	}
	return nil
}
