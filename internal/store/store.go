// Package store is the contract between the gateway and what keeps its state.
// Two implementations and one conformance suite (package storetest) share it.
// The contract is shaped by what the path of an event needs; nothing here knows
// how rows are laid out.
//
// All methods may be called concurrently. Methods that write return only after
// the write is durable: it survives a kill and a power cut. Concurrent writers
// share commits. An error means that nothing of the call was written, unless it
// is [seawall.ErrUnavailable] wrapped around a lost connection at commit, when
// it is not known: every write may therefore be repeated.
package store

import (
	"context"
	"io"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Store is everything the gateway keeps.
type Store interface {
	Events
	Queue
	Deliveries
	Answers
	Arrivals
	Gates
	Nodes
	Signals
	Systems
	Lines
	Links
	Vault
	Actions
	Revisions
	Tokens
	Upkeep
	io.Closer
}

// Acceptance is one verified event with the deliveries planned for it.
type Acceptance struct {
	Event      *seawall.Event     // Seq is filled in by Accept
	BodyHash   [16]byte           // first half of the body's SHA-256: tells a conflict from a duplicate
	Expires    time.Time          // end of the dedupe horizon
	Deliveries []seawall.Delivery // ID, Route, Destination, System, Shard, Entity, Order and what belongs to it, State, Reason, Due, Revision

	Links      []seawall.Link // that the event teaches
	Unresolved *Record        // the record whose entity is to be found; nil: the entity is known, or has none
}

// Record is one that belongs to an entity that is not known yet.
type Record struct {
	Entity string // the entity's name: order
	System string
	Record string
	Until  time.Time // then the wait for its link ends
}

// Accepted is what became of an Acceptance.
type Accepted struct {
	Verdict seawall.Verdict // New, Duplicate or Conflict
	Event   seawall.EventID // the event that stands: the first one for a duplicate
}

// Events accepts events and shows them.
type Events interface {
	// Accept writes the events of one request, with dedupe keys and deliveries,
	// in one transaction: all or none. An event whose (source, source event id)
	// is known within the horizon is not written; an arrival is, and the first
	// 20 duplicates of an event are kept, the rest counted. Accept gives
	// sequence numbers in commit order: an event whose Accept returned before
	// another's began has the lower number, on any node.
	//
	// A delivery that is Lined joins its entity's line at its destination
	// (package order decides), if it is planned as Pending: its Due is then when
	// its settle window ends, or with After when that wait does. State, Reason,
	// Due, Late and Tied are filled in with what became of it.
	//
	// Links that the event teaches are written, where the record is not another
	// entity's and the entity has no other record: such a conflict is recorded as
	// an action "link.conflict" on the entity, and the first link stands.
	//
	// It fails with seawall.ErrUnavailable, before anything is written, when
	// too much is waiting or the store cannot commit.
	Accept(ctx context.Context, batch []Acceptance) ([]Accepted, error)

	// Event returns the event with its body; seawall.ErrNotFound.
	Event(ctx context.Context, id seawall.EventID) (*seawall.Event, error)

	// ListEvents returns events, newest first, without headers and bodies.
	ListEvents(ctx context.Context, f EventFilter, p Page) (List[seawall.Event], error)

	// Replan adds deliveries to an event whose planning went wrong, writes its
	// Routing, Decisions, Entity and Version, which are all that is read of it
	// beside its ID, and records the action. Deliveries are numbered by
	// the store; a route that already has a delivery of the event is left out.
	// It returns the deliveries it added.
	Replan(ctx context.Context, ev *seawall.Event, ds []seawall.Delivery, a seawall.Action) ([]seawall.Delivery, error)

	// Counts of one event's arrivals: duplicates and conflicts, kept or not.
	Arrived(ctx context.Context, id seawall.EventID) (duplicates, conflicts int, err error)
}

// Lane is a shard of one system's queue: the unit of ownership.
type Lane struct {
	System string
	Shard  int
}

// Lease is a lane owned by a node until a time, under a token that only grows.
// Until is on the local monotonic clock, already shortened by a safety margin:
// the owner stops there, before anyone else may start.
type Lease struct {
	Lane
	Node  string
	Token int64
	Until time.Time

	// Unclean tells, of a lease just acquired, that the owner before never gave it
	// back: its process died, or stood still.
	Unclean bool
}

// Claimed is a delivery that may be tried, with its event.
type Claimed struct {
	Delivery seawall.Delivery
	Event    *seawall.Event
}

// Claim says which deliveries a lane's owner wants to try next.
type Claim struct {
	Destination string
	Now         time.Time
	Busy        func(seawall.DeliveryID) bool // those already in the owner's hands: left out; may be nil
	BusyCount   int                           // how many Busy knows of this destination
	Rescan      bool                          // look from the oldest on, not from where the claim before left off
	Limit       int                           // at most so many
	Bytes       int                           // stop after the event that takes the bodies past this; 0: no bound
}

// Settlement is the end of one attempt, or a decision about a delivery in the
// owner's hands: the attempt, and what comes next.
type Settlement struct {
	Lease    Lease
	Delivery seawall.DeliveryID
	Seq      int64            // accept sequence of its event, which saves a look-up; 0: not known
	Attempt  *seawall.Attempt // nil where nothing was tried
	State    seawall.State
	Reason   string
	Due      time.Time       // for Pending
	Step     seawall.Step    // for Pending: what the next attempt does
	Move     *Place          // for Pending, not nil: the delivery goes on in that queue, as a first try, diverted
	Answer   *seawall.Answer // of a call: kept with its delivery, also with one that was canceled meanwhile
	Disable  string          // not "": the destination's gate becomes Disabled, for this reason
	Outcomes []Acceptance    // events that this outcome is, accepted in the same transaction
	At       time.Time       // when it was decided

	Done   []string       // for Delivered: patterns of After that it fulfils at its destination
	Pass   time.Time      // for Dead, in a sequence: when its entity goes on without it; zero: a person decides
	Links  []seawall.Link // learned, also where someone ended the delivery meanwhile: each stands in place of the entity's link to that system before
	Unlink []seawall.Link // of these Entity, System and Record: gone, if the link still is that

	// Next is filled in by Settle: the delivery of the same line whose turn came with
	// it, Pending. In the lease's lane it has its event, and the owner may try it
	// without a claim; in another lane it has none, and that one's owner is to be told
	// that it is there. nil: nobody's turn came.
	Next *Claimed
}

// Place is a queue: of a destination, in a lane.
type Place struct {
	Lane
	Destination string
}

// Settled is what became of a Settlement.
type Settled uint8

const (
	// Done: the attempt and the state are written.
	Done Settled = iota
	// Ended: someone ended the delivery meanwhile (a cancel); the attempt is
	// kept for the record, the state stands as it was.
	Ended
	// Fenced: the lease's token is no longer the lane's; nothing is written.
	Fenced
)

// Queue hands out work, and takes back what came of it.
type Queue interface {
	// Acquire takes, for node, those of the lanes that nobody holds or whose
	// lease has run out by the store's clock, each under a new token, for ttl.
	// A lane that the node itself already holds is renewed under its token.
	// What an owner before left in Sending becomes Pending again, due at once, with
	// the step [seawall.Doubt]: who has it next goes on from an unknown outcome
	// (G6). Lanes are created as they are first named.
	Acquire(ctx context.Context, node string, lanes []Lane, ttl time.Duration) ([]Lease, error)

	// Renew extends the leases that still stand, and returns those.
	Renew(ctx context.Context, leases []Lease, ttl time.Duration) ([]Lease, error)

	// Release gives lanes back at once. Leases that no longer stand are ignored.
	Release(ctx context.Context, leases []Lease) error

	// Claim reads the deliveries of a destination that are due, oldest due
	// first. It writes nothing: what is in flight only the owner knows. next is
	// when the first delivery that it did not return falls due, zero if there
	// is none. The cost does not depend on how many wait, nor on what waits for
	// other destinations.
	//
	// A store may go on from where the owner's claim before left off, as far as
	// nothing can have been committed behind that meanwhile. The owner asks for
	// a rescan at its first claim, after it let go of a delivery without settling
	// it, and every few seconds, less often where one takes long.
	Claim(ctx context.Context, l Lease, c Claim) (due []Claimed, next time.Time, err error)

	// Begin commits, before the first byte is sent, that these deliveries are
	// being tried: for what is not safe to repeat (G6), and for a head of a line
	// that another may have taken the place of meanwhile ([order.Contested]). It returns those for
	// which the lease still stands and which are still pending.
	Begin(ctx context.Context, l Lease, ids []seawall.DeliveryID) ([]seawall.DeliveryID, error)

	// Settle writes outcomes, one result for each, all in one transaction.
	Settle(ctx context.Context, ss []Settlement) ([]Settled, error)

	// Depths tells how much waits for each destination. Where counting takes
	// long, the counts may be a little old.
	Depths(ctx context.Context) ([]Depth, error)

	// Pending tells which destinations, with their lanes, hold unfinished
	// deliveries, planned under whatever configuration.
	Pending(ctx context.Context) ([]PendingQueue, error)

	// Waiting is Pending without the counts, at a cost that does not depend on
	// them.
	Waiting(ctx context.Context) ([]PendingQueue, error)
}

// Depth is how much waits for a destination.
type Depth struct {
	Destination string
	Pending     int64     // due now or later, in flight included
	Held        int64     // held and sending
	Dead        int64     // dead letters
	OldestDue   time.Time // zero if nothing is pending
}

// PendingQueue names a destination with unfinished deliveries.
type PendingQueue struct {
	Lane
	Destination string
	Count       int64
}

// Deliveries shows deliveries and takes people's orders about them. Every order
// is recorded as an action in the transaction that carries it out.
type Deliveries interface {
	// Delivery returns one delivery; seawall.ErrNotFound.
	Delivery(ctx context.Context, id seawall.DeliveryID) (*seawall.Delivery, error)

	// DeliveriesOf returns an event's deliveries in their order.
	DeliveriesOf(ctx context.Context, id seawall.EventID) ([]seawall.Delivery, error)

	// Attempts returns a delivery's attempts, first to last.
	Attempts(ctx context.Context, id seawall.DeliveryID) ([]seawall.Attempt, error)

	// ListDeliveries returns deliveries, newest event first.
	ListDeliveries(ctx context.Context, f DeliveryFilter, p Page) (List[seawall.Delivery], error)

	// Cancel ends unfinished deliveries as Canceled for reason. It returns
	// those that it ended; others are left as they are.
	Cancel(ctx context.Context, ids []seawall.DeliveryID, reason string, a seawall.Action) ([]seawall.DeliveryID, error)

	// Replay puts finished deliveries back into the queue, with their identity
	// or, where asked, as a new delivery of the same event. Likewise, but never
	// as new ones, those that are Held for a person (Replayable). What is
	// already waiting is left as it is, so repeating it adds nothing. One that
	// was diverted begins at its first destination again.
	//
	// One that is Lined joins its line again. In a sequence it goes by its rank, and
	// is Late if a newer one was delivered; a dead one that held its line up lets it
	// go on once delivered. Of what only the newest matters, one that is not the
	// newest is left as it is, unless o.Force says to deliver it as Late.
	Replay(ctx context.Context, ids []seawall.DeliveryID, o ReplayOptions, a seawall.Action) ([]seawall.Delivery, error)

	// Matching returns the ids of up to limit finished deliveries that a
	// filter selects, after the cursor, oldest first; next is "" at the end.
	Matching(ctx context.Context, f DeliveryFilter, p Page) (ids []seawall.DeliveryID, next string, err error)
}

// ReplayOptions say how deliveries are put back.
type ReplayOptions struct {
	At    time.Time     // due of the first
	Every time.Duration // between one and the next; 0: all at once
	Pin   bool          // shape by the revision they were planned under
	NewID bool          // as new deliveries
	Force bool          // also what a newer version made pointless
}

// Arrivals keeps what did not become an event.
type Arrivals interface {
	// Refuse keeps a rejected or handshake arrival, the newest 1,000 of each
	// source and verdict.
	Refuse(ctx context.Context, a seawall.Arrival) error

	// ListArrivals returns arrivals, newest first, without headers and bodies.
	// New arrivals are not in it: an event is its own first arrival.
	ListArrivals(ctx context.Context, f ArrivalFilter, p Page) (List[seawall.Arrival], error)

	// Arrival returns one with all that is kept of it; seawall.ErrNotFound.
	Arrival(ctx context.Context, id int64) (*seawall.Arrival, error)
}

// GateState is the standing order about a destination's queue.
type GateState struct {
	Destination string
	Gate        seawall.Gate
	Reason      string
	By          string
	At          time.Time
}

// Gates keeps which destinations are paused or disabled.
type Gates interface {
	Gates(ctx context.Context) ([]GateState, error)
	SetGate(ctx context.Context, g GateState, a seawall.Action) error
}

// Node is a process that serves this store.
type Node struct {
	Name     string
	Revision int64 // of the configuration that it runs
}

// Nodes are the processes that serve this store.
type Nodes interface {
	// Beat says that a node lives, for ttl from now by the store's clock, and
	// what it runs. It returns all that live, by name, its own among them.
	Beat(ctx context.Context, node Node, ttl time.Duration) ([]Node, error)

	// Leave says that it does no longer.
	Leave(ctx context.Context, node string) error
}

// Signal is word from one node to the others. Destination names the queue that
// may have something due, or whose gate changed: the one in Lane, or without a
// Lane those in all of them. With "", something changed that nodes look at now
// and then: lanes, nodes, revisions.
type Signal struct {
	Lane
	Destination string
}

// Signals pass word between nodes, to save waiting. They may be lost: who acts
// on one must come to know of the same by itself, only later.
type Signals interface {
	// Tell passes a signal to the other nodes, soon: equal ones within a moment
	// are one. It neither blocks nor fails.
	Tell(s Signal)

	// Listen calls f for each signal of another node until ctx ends, and once
	// with the zero Signal whenever some may have been missed.
	Listen(ctx context.Context, f func(Signal)) error
}

// Answers keeps the responses to calls.
type Answers interface {
	// Answers returns those that are there, by delivery. One that was replayed
	// has its newest.
	Answers(ctx context.Context, ids []seawall.DeliveryID) (map[seawall.DeliveryID]*seawall.Answer, error)
}

// SystemState is what all nodes know of an outside system.
type SystemState struct {
	System  string
	Breaker seawall.Breaker
	Since   time.Time // of Breaker
	Until   time.Time // open: no probe before; half open: the probe is given up then
	Node    string    // half open: whose probe it is
	Opens   int       // times it opened since it was last closed
	Why     string    // it opened
	Hold    time.Time // the system asked for nothing before then (Retry-After); zero: it did not
	Version int64     // grows with every change; 0: never written
}

// Rate is how often a system may be asked: once each Every on average, Burst at
// once after a rest.
type Rate struct {
	Every time.Duration
	Burst int
}

// Share is what a node wants of the requests that a system takes at a time.
type Share struct {
	System string
	Limit  int // over all nodes
	Want   int // 0: nothing any more
	Used   int // under way now: nobody else is given these before they have ended
}

// Systems keeps what the nodes share about outside systems.
type Systems interface {
	// SystemStates returns all that was ever written.
	SystemStates(ctx context.Context) ([]SystemState, error)

	// SetSystem writes next, with the events that this is, if what stands still
	// has next's Version; done tells whether. It returns what stands then: next
	// under a higher Version, or what another wrote.
	SetSystem(ctx context.Context, next SystemState, outcomes []Acceptance) (now SystemState, done bool, err error)

	// Take takes up to want permits, which are used up whether they are used or
	// not. If it gives none, wait is when the next will be there. It goes by the
	// store's clock, and remembers over restarts. A rate without Every has no
	// bound.
	Take(ctx context.Context, system string, r Rate, want int) (permits int, wait time.Duration, err error)

	// Share gives a node, for ttl by the store's clock, its share of what each
	// system takes at a time: at most what it wants, all nodes' shares together,
	// with what of theirs is still under way, never more than the limit. A node
	// that has more than its even part while another waits loses the surplus at
	// its next Share; where there are fewer than nodes that want some, they take
	// turns. Of a node that does not ask again, the share is free after ttl: by
	// then it must have stopped.
	Share(ctx context.Context, node string, wants []Share, ttl time.Duration) ([]int, error)
}

// Sealed is a secret that the store keeps, encrypted.
type Sealed struct {
	Name    string // for example "oauth2/crm"
	Key     string // id of the key that sealed it
	Data    []byte
	At      time.Time
	Version int64 // grows with every change; 0: not there yet
}

// Vault keeps secrets that are not in the configuration. It sees them sealed.
type Vault interface {
	// Sealed returns one; [seawall.ErrNotFound].
	Sealed(ctx context.Context, name string) (*Sealed, error)
	ListSealed(ctx context.Context) ([]Sealed, error)

	// PutSealed writes s under a higher Version if what stands still has its
	// Version, and tells whether. The very same again is done already.
	PutSealed(ctx context.Context, s Sealed) (done bool, err error)

	// Hold gives node the sole right to renew a secret for ttl, and tells
	// whether it has it. Holding it again extends it; ttl 0 gives it back.
	Hold(ctx context.Context, name, node string, ttl time.Duration) (held bool, err error)
}

// Actions keeps what people did.
type Actions interface {
	Record(ctx context.Context, a seawall.Action) error
	// ListActions returns actions, newest first; on filters by what they were
	// done to, "" for all.
	ListActions(ctx context.Context, on string, p Page) (List[seawall.Action], error)
}

// Revisions keeps every configuration that was accepted.
type Revisions interface {
	// AddRevision keeps the text under the next number, unless it equals the
	// newest one, which is then returned.
	AddRevision(ctx context.Context, at time.Time, by string, text []byte) (seawall.Revision, error)
	Revision(ctx context.Context, number int64) (*seawall.Revision, error) // seawall.ErrNotFound
	Latest(ctx context.Context) (*seawall.Revision, error)                 // seawall.ErrNotFound
	ListRevisions(ctx context.Context, p Page) (List[seawall.Revision], error)
}

// Tokens keeps who may use the API.
type Tokens interface {
	AddToken(ctx context.Context, t seawall.Token, a seawall.Action) error // seawall.ErrConflict: the name is taken
	DeleteToken(ctx context.Context, name string, a seawall.Action) error  // seawall.ErrNotFound
	ListTokens(ctx context.Context) ([]seawall.Token, error)
}

// Upkeep keeps the store itself healthy.
type Upkeep interface {
	// Ping commits something and reads it back: the store can be written.
	Ping(ctx context.Context) error

	// Expire deletes, a chunk at a time, what is past its retention: events
	// received before o.Events whose deliveries all ended, and of those with
	// dead letters the ones received before o.Dead; with their attempts and
	// arrivals; and dedupe keys past their horizon. It gives space back. more
	// tells that there is more to delete; the caller spaces the calls.
	Expire(ctx context.Context, o Expiry) (deleted int, more bool, err error)

	// Size is the space taken on disk, in bytes.
	Size(ctx context.Context) (int64, error)
}

// Expiry says what Expire may delete.
type Expiry struct {
	Now    time.Time
	Events time.Time
	Dead   time.Time
	Lines  time.Time // positions unchanged since, with nothing that waits, go
	Limit  int       // events in this chunk
}
