package pack

import (
	"time"

	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/seawall"
)

// Position packs what a destination has seen of an entity. Waiting is not in it: a
// store has it in a column.
func Position(p *order.Position) []byte {
	b := newPacker(160, layout)
	b.mark(&p.Head)
	b.mark(&p.Block)
	b.time(p.Until)
	b.uint(uint64(len(p.Clocks)))
	for i := range p.Clocks {
		c := &p.Clocks[i]
		b.text(c.Name)
		b.mark(&c.Top)
		// As a rule the newest that came is the newest that was delivered.
		same := c.Seen.Key == c.Top.Key
		b.bool(same)
		if !same {
			b.mark(&c.Seen)
		}
	}
	b.uint(uint64(len(p.Done)))
	for _, d := range p.Done {
		b.text(d)
	}
	if len(p.Behind) == 0 {
		return b // as a rule; what was packed before there were any has none either
	}
	b.uint(uint64(len(p.Behind)))
	for i := range p.Behind {
		b.mark(&p.Behind[i].Mark)
		b.time(p.Behind[i].Until)
	}
	return b
}

// ParsePosition is its reverse.
func ParsePosition(packed []byte) (p order.Position, err error) {
	u := unpack(packed)
	p.Head, p.Block, p.Until = u.mark(), u.mark(), u.time()
	for range u.count() {
		c := order.Clock{Name: u.text(), Top: u.mark()}
		if c.Seen = c.Top; !u.bool() {
			c.Seen = u.mark()
		}
		p.Clocks = append(p.Clocks, c)
	}
	for range u.count() {
		p.Done = append(p.Done, u.text())
	}
	if u.err != nil || len(u.b) == 0 {
		return p, u.err
	}
	for range u.count() {
		p.Behind = append(p.Behind, order.Hold{Mark: u.mark(), Until: u.time()})
	}
	return p, u.err
}

func (p *packer) mark(m *order.Mark) {
	p.int(m.Key)
	if m.Key == 0 {
		return
	}
	event := m.Delivery.Event()
	*p = append(*p, event[:]...)
	p.uint(uint64(m.Delivery.N()))
	p.blob(m.Rank)
	p.text(m.Version)
}

func (u *unpacker) mark() (m order.Mark) {
	if m.Key = u.int(); m.Key == 0 {
		return m
	}
	var event seawall.EventID
	if u.b = u.b[copy(event[:], u.b):]; event.IsZero() {
		u.b, u.err = nil, errPacked
	}
	n := u.uint()
	if n == 0 || n > seawall.MaxDeliveries {
		u.b, u.err = nil, errPacked
		return order.Mark{}
	}
	m.Delivery = event.Delivery(int(n))
	m.Rank, m.Version = u.blob(), u.text()
	return m
}

func (p *packer) time(t time.Time) {
	if t.IsZero() {
		p.int(0)
		return
	}
	p.int(t.UnixMicro())
}

func (u *unpacker) time() time.Time {
	us := u.int()
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Flags of a row of a delivery, beside those of the engines (1 to 16): how it
// stands to the others of its line.
const (
	flagOrder  = 32  // and 64: Ordering
	flagOnLate = 128 // and 256: LatePolicy
	flagLate   = 512
	flagTied   = 1024
	flagOnWait = 2048 // and 4096: WaitPolicy
	flagCounts = 8192

	// FlagsOrder are all of them.
	FlagsOrder = 3*flagOrder | 3*flagOnLate | flagLate | flagTied | 3*flagOnWait | flagCounts
	// FlagLate is Late's: a line may set it when a delivery's turn comes.
	FlagLate = flagLate
)

// OrderFlags are a delivery's flags of its line.
func OrderFlags(d *seawall.Delivery) (f int64) {
	f = int64(d.Order)*flagOrder | int64(d.OnLate)*flagOnLate | int64(d.OnWait)*flagOnWait
	if d.Late {
		f |= flagLate
	}
	if d.Tied {
		f |= flagTied
	}
	if d.Counts {
		f |= flagCounts
	}
	return f
}

// SetOrder sets in a delivery what its flags say.
func SetOrder(d *seawall.Delivery, f int64) {
	d.Order, d.OnLate, d.OnWait = seawall.Ordering(f/flagOrder&3), seawall.LatePolicy(f/flagOnLate&3), seawall.WaitPolicy(f/flagOnWait&3)
	d.Late, d.Tied, d.Counts = f&flagLate != 0, f&flagTied != 0, f&flagCounts != 0
}
