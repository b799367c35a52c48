package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// twoNodes are two that accept events of the same few entities, while one of them
// delivers and people cancel, skip and replay on the other.
type twoNodes struct {
	t     *testing.T
	seed  uint64
	nodes [2]*postgres.Store
	lease store.Lease

	mu    sync.Mutex
	known []seawall.DeliveryID
	sent  []store.Acceptance
	hand  []store.Claimed // whose turn came with a settlement
}

const entities = 6

// event makes one of a random entity and version. Entities with odd numbers want only
// the newest.
func (n *twoNodes) event(r *rand.Rand) store.Acceptance {
	a := newEvent(time.Now(), fmt.Sprint(r.Uint64()), "{}")
	a.Event.Type, a.Event.Version = "order.changed", fmt.Sprint(r.IntN(40))
	entity := r.IntN(entities)
	d := &a.Deliveries[0]
	d.Entity = fmt.Sprint("order/", entity)
	a.Event.Entity = d.Entity
	d.Order = seawall.Sequence + seawall.Ordering(entity%2)
	rank, err := order.Rank([]string{a.Event.Version}, order.Integer)
	if err != nil {
		n.t.Error(err)
	}
	d.Rank = order.On([]string{"shop", "app"}[r.IntN(2)], rank)
	switch r.IntN(10) {
	case 0:
		d.Due = d.Due.Add(time.Duration(r.IntN(20)) * time.Millisecond) // its settle window
	case 1:
		d.After, d.Due = []string{"order.created"}, d.Due.Add(time.Duration(r.IntN(50))*time.Millisecond)
	case 2:
		d.Counts, a.Event.Type = true, "order.created"
	}
	return a
}

func (n *twoNodes) accept(ctx context.Context, s *postgres.Store, r *rand.Rand) error {
	batch := make([]store.Acceptance, 1+r.IntN(4))
	for i := range batch {
		batch[i] = n.event(r)
	}
	n.mu.Lock()
	if len(n.sent) > 0 && r.IntN(3) == 0 { // once more, perhaps on the other node
		old := n.sent[r.IntN(len(n.sent))]
		again := n.event(r)
		again.Event.Source, again.Event.SourceID = old.Event.Source, old.Event.SourceID
		batch = append(batch, again)
	}
	n.mu.Unlock()
	for i := range batch {
		d := &batch[i].Deliveries[0]
		d.ID = batch[i].Event.ID.Delivery(1)
	}
	plans := make([]store.Acceptance, len(batch))
	copy(plans, batch)
	out, err := s.Accept(ctx, batch)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range out {
		if out[i].Verdict == seawall.New {
			n.known = append(n.known, batch[i].Deliveries[0].ID)
			n.sent = append(n.sent, plans[i])
		}
	}
	return nil
}

// some picks deliveries at random.
func (n *twoNodes) some(r *rand.Rand) (ids []seawall.DeliveryID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 1 + r.IntN(4) {
		if len(n.known) > 0 {
			ids = append(ids, n.known[max(0, len(n.known)-1-r.IntN(30))])
		}
	}
	return ids
}

func (n *twoNodes) people(ctx context.Context, s *postgres.Store, r *rand.Rand) error {
	ids := n.some(r)
	var err error
	switch r.IntN(4) {
	case 0:
		_, err = s.Cancel(ctx, ids, "not wanted", seawall.Action{What: "cancel"})
	case 1:
		_, err = s.Skip(ctx, ids, seawall.Action{What: "skip"})
	default:
		_, err = s.Replay(ctx, ids, store.ReplayOptions{At: time.Now(), Force: r.IntN(2) == 0, NewID: r.IntN(4) == 0}, seawall.Action{What: "replay"})
	}
	if err != nil {
		return fmt.Errorf("a person's order: %w", err)
	}
	return nil
}

// deliver tries what is due, and settles it as it comes out.
func (n *twoNodes) deliver(ctx context.Context, s *postgres.Store, r *rand.Rand, all bool) error {
	now := time.Now()
	ripe, err := s.Ripen(ctx, n.lease, "orders", now, 20)
	if err != nil {
		return fmt.Errorf("ripen: %w", err)
	}
	due, _, err := s.Claim(ctx, n.lease, store.Claim{Destination: "orders", Now: now, Rescan: true, Limit: 30})
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	seen := map[seawall.DeliveryID]bool{}
	var ss []store.Settlement
	add := func(d seawall.Delivery, seq int64) {
		if seen[d.ID] {
			return
		}
		seen[d.ID] = true
		in := benchSettlement(n.lease, d)
		in.Seq, in.Attempt.N, in.Attempt.At, in.At = seq, d.Attempts+1, now, now
		if d.Counts {
			in.Done = []string{"order.created"}
		}
		switch k := r.IntN(10); {
		case all || k < 7:
		case k < 9:
			in.State, in.Due, in.Done = seawall.Pending, now.Add(time.Duration(r.IntN(10))*time.Millisecond), nil
		default:
			in.State, in.Done = seawall.Dead, nil
			if r.IntN(2) == 0 {
				in.Pass = now.Add(5 * time.Millisecond)
			}
		}
		ss = append(ss, in)
	}
	for _, c := range n.hand {
		if c.Event != nil {
			add(c.Delivery, c.Event.Seq)
		}
	}
	n.hand = nil
	var contested []seawall.DeliveryID
	for _, c := range due {
		if order.Contested(&c.Delivery, c.Event.ReceivedAt, now) {
			contested = append(contested, c.Delivery.ID)
		}
	}
	begun, err := s.Begin(ctx, n.lease, contested)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	may := map[seawall.DeliveryID]bool{}
	for _, id := range begun {
		may[id] = true
	}
	for _, c := range due {
		if may[c.Delivery.ID] || !order.Contested(&c.Delivery, c.Event.ReceivedAt, now) {
			add(c.Delivery, c.Event.Seq)
		}
	}
	for _, d := range ripe.Over {
		ss = append(ss, store.Settlement{Lease: n.lease, Delivery: d.ID, State: seawall.Dead, Reason: "too late", At: now})
	}
	if len(ss) == 0 {
		return nil
	}
	if _, err := s.Settle(ctx, ss); err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	for i := range ss {
		if ss[i].Next != nil {
			n.hand = append(n.hand, *ss[i].Next)
		}
	}
	return nil
}

// sound looks for what must not be, whatever happened.
func (n *twoNodes) sound(c *pgx.Conn) {
	n.t.Helper()
	for what, sql := range map[string]string{
		"have the turn beside another": `SELECT count(*) FROM (SELECT line FROM delivery WHERE line IS NOT NULL AND flags & 96 <> 0
			AND (state IN (0, 2) OR state = 1 AND reason = 'unknown') GROUP BY line HAVING count(*) > 1) x`,
		"lines miscount who waits": `SELECT count(*) FROM position p WHERE waiting <> (SELECT count(*) FROM delivery d WHERE d.line = p.id
			AND d.state = 1 AND d.reason IN ('earlier', 'settle'))`,
		"lines have a head that is none": `SELECT count(*) FROM position p WHERE head <> 0 AND NOT EXISTS (SELECT FROM delivery d WHERE d.id = p.head
			AND d.line = p.id AND (d.state IN (0, 2) OR d.state = 1 AND d.reason = 'unknown'))`,
		"have the turn and are no head": `SELECT count(*) FROM delivery d JOIN position p ON p.id = d.line WHERE d.flags & 96 <> 0 AND d.state IN (0, 2) AND p.head <> d.id`,
		"lines wait for nothing": `SELECT count(*) FROM position p WHERE waiting > 0 AND head = 0 AND wake IS NULL AND NOT EXISTS (SELECT FROM delivery d
			WHERE d.line = p.id AND d.state = 1 AND d.due < '9999-01-01')`,
		"belong to no line": `SELECT count(*) FROM delivery WHERE line IS NULL OR NOT EXISTS (SELECT FROM position p WHERE p.id = line)`,
	} {
		var count int
		if err := c.QueryRow(n.t.Context(), sql).Scan(&count); err != nil || count > 0 {
			n.t.Errorf("%d %s: %v", count, what, err)
		}
	}
}

// Whatever two nodes and people do at once: one of an entity has the turn, what waits
// is counted, nothing is stuck, and next to nobody waits for another in a circle.
func TestG5_TwoNodesKeepOneLine(t *testing.T) {
	t.Parallel()
	url := database(t)
	n := &twoNodes{t: t, seed: uint64(time.Now().UnixNano())}
	t.Logf("seed %d", n.seed)
	for i := range n.nodes {
		n.nodes[i] = open(t, url, postgres.Options{})
	}
	n.lease = lease(t, n.nodes[0], "n1")
	watch := connect(t, url)
	for round := range uint64(4) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		var done sync.WaitGroup
		run := func(who uint64, times int, f func(context.Context, *rand.Rand) error) {
			r := rand.New(rand.NewPCG(n.seed+round, who))
			done.Go(func() {
				for range times {
					if err := f(ctx, r); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for who := range uint64(4) {
			run(who, 60, func(ctx context.Context, r *rand.Rand) error { return n.accept(ctx, n.nodes[who%2], r) })
		}
		run(10, 40, func(ctx context.Context, r *rand.Rand) error { return n.deliver(ctx, n.nodes[0], r, false) })
		run(11, 40, func(ctx context.Context, r *rand.Rand) error { return n.people(ctx, n.nodes[1], r) })
		run(12, 40, func(ctx context.Context, r *rand.Rand) error { return n.people(ctx, n.nodes[0], r) })
		done.Wait()
		cancel()
		n.sound(watch)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	n.drain(watch)
	for _, s := range n.nodes {
		s.Close() // which has the sessions tell what they counted
	}
	// One is taken back by the server and done again. Where the order of locks is wrong
	// there are dozens.
	var deadlocks int
	if err := watch.QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks); err != nil || deadlocks > 3 {
		t.Errorf("%d times some waited for each other in a circle: %v", deadlocks, err)
	}
}

// drain delivers what there is, and skips what is dead, until nothing is left.
func (n *twoNodes) drain(watch *pgx.Conn) {
	n.t.Helper()
	r := rand.New(rand.NewPCG(n.seed, 99))
	s := n.nodes[0]
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := n.deliver(n.t.Context(), s, r, true); err != nil {
			n.t.Fatal(err)
		}
		if _, err := s.Skip(n.t.Context(), n.dead(watch), seawall.Action{What: "skip"}); err != nil {
			n.t.Fatal(err)
		}
		var left int
		if err := watch.QueryRow(n.t.Context(), "SELECT count(*) FROM delivery").Scan(&left); err != nil {
			n.t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%d are stuck", left)
		}
	}
	n.sound(watch)
}

func (n *twoNodes) dead(watch *pgx.Conn) (ids []seawall.DeliveryID) {
	n.t.Helper()
	rows, err := watch.Query(n.t.Context(), "SELECT event, id & 32767 FROM finished WHERE state = 4")
	if err != nil {
		n.t.Fatal(err)
	}
	var event [16]byte
	var number int
	if _, err := pgx.ForEachRow(rows, []any{&event, &number}, func() error {
		ids = append(ids, seawall.EventID(event).Delivery(number))
		return nil
	}); err != nil {
		n.t.Fatal(err)
	}
	return ids
}
