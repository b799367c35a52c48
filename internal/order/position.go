package order

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Position is what a destination has seen of an entity, and whose turn it is
// there. It outlives the events.
type Position struct {
	Head    Mark      // whose turn it is; zero: nobody's
	Block   Mark      // the dead one that holds up those behind it
	Until   time.Time // with Block: the line goes on without it then; zero: never
	Behind  []Hold    // dead ones that hold it up once Block does not, the first first
	Waiting int       // held in the line: behind others, or in their settle window
	Clocks  []Clock   // of the sources it has seen something of
	Done    []string  // patterns of prerequisites that were delivered
}

// Hold is a dead delivery that holds a line up behind another one that does.
type Hold struct {
	Mark
	Until time.Time // as Position's
}

// Clock is what is known by versions that compare with each other: those of one
// source, or of all where the entity says that they share their clock.
type Clock struct {
	Name string // the source; "": shared
	Top  Mark   // the newest that came
	Seen Mark   // the newest that was delivered
}

// Mark is a delivery's place in its line.
type Mark struct {
	Key      int64 // the store's; grows with the accept sequence; 0: none
	Delivery seawall.DeliveryID
	Rank     []byte // with the clock's name before it
	Version  string // as it came, for people
}

// IsZero tells whether there is none.
func (m Mark) IsZero() bool { return m.Key == 0 }

// before tells whether m comes before o: by version, then as they came. Only
// ranks of one clock compare.
func (m Mark) before(o Mark) bool {
	if c := bytes.Compare(m.Rank, o.Rank); c != 0 {
		return c < 0
	}
	return m.Key < o.Key
}

// older tells whether m's version is the lower one.
func (m Mark) older(o Mark) bool { return !o.IsZero() && bytes.Compare(m.Rank, o.Rank) < 0 }

// String names a mark for people.
func (m Mark) String() string {
	if m.Version == "" {
		return m.Delivery.Event().String()
	}
	return "version " + m.Version + ", " + m.Delivery.Event().String()
}

// maxClock bounds a clock's name: it stands in an index.
const maxClock = 256

// On puts a clock's name before the rank of a version. Without a rank nothing is
// known of the version but its clock.
func On(clock string, rank []byte) []byte {
	if len(clock) > maxClock {
		clock = clock[:maxClock]
	}
	return append(append([]byte(clock), 0), rank...)
}

// ClockOf is the clock that a rank is by. bare tells that nothing else is known.
func ClockOf(rank []byte) (clock string, bare bool) {
	i := bytes.IndexByte(rank, 0)
	if i < 0 {
		return "", len(rank) == 0
	}
	return string(rank[:i]), i == len(rank)-1
}

// Range bounds the ranks of a clock: from first on, and before end.
func Range(clock string) (first, end []byte) {
	return On(clock, nil), append([]byte(clock), 1)
}

// clock finds a clock, or adds it.
func (p *Position) clock(name string) *Clock {
	i := slices.IndexFunc(p.Clocks, func(c Clock) bool { return c.Name == name })
	if i < 0 {
		i = len(p.Clocks)
		p.Clocks = append(p.Clocks, Clock{Name: name})
	}
	return &p.Clocks[i]
}

// Fulfils tells whether all of what a delivery comes after was delivered.
func (p *Position) Fulfils(after []string) bool {
	return !slices.ContainsFunc(after, func(a string) bool { return !slices.Contains(p.Done, a) })
}

// Blocked says what holds the line up, "" if nothing does.
func (p *Position) Blocked() string {
	if p.Block.IsZero() {
		return ""
	}
	var b strings.Builder
	b.WriteString(p.Block.String())
	b.WriteString(" is dead")
	if !p.Until.IsZero() {
		b.WriteString("; passed at ")
		b.WriteString(p.Until.UTC().Format(time.RFC3339))
	}
	return b.String()
}
