package seawall

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"
)

// EventID is the public id of an event: a UUIDv7 (RFC 9562, section 5.7) whose
// last 15 bits are zero. Those bits number the event's deliveries, so that a
// delivery's id leads to its event without an index, and a person sees at a
// glance that evt_01kb…000 and dlv_01kb…001 belong together.
type EventID [16]byte

// DeliveryID is the id of its event with the delivery's number (1 to
// [MaxDeliveries]) in the last 15 bits.
type DeliveryID [16]byte

// MaxDeliveries is how many deliveries one event can ever have, replays under a
// new id included.
const MaxDeliveries = 1<<15 - 1

const (
	eventPrefix    = "evt_"
	deliveryPrefix = "dlv_"
	callPrefix     = "call_"

	// Crockford's base 32, lower case, as TypeID uses it: 26 characters, no
	// letters that are mistaken for digits, selectable by a double click.
	alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

var errBadID = errors.New("not 26 characters of base 32")

// NewEventID makes an id for an event received at now, from 10 bytes of random.
// It panics if random fails: a process without randomness must not accept.
func NewEventID(now time.Time, random io.Reader) EventID {
	var id EventID
	if _, err := io.ReadFull(random, id[6:]); err != nil {
		panic("seawall: no randomness: " + err.Error())
	}
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(id[0:2], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:6], uint32(ms))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	id[14] &= 0x80
	id[15] = 0
	return id
}

// Delivery returns the id of the event's n-th delivery, n from 1 to
// [MaxDeliveries].
func (id EventID) Delivery(n int) DeliveryID {
	if n < 1 || n > MaxDeliveries {
		panic("seawall: delivery number out of range")
	}
	d := DeliveryID(id)
	low := binary.BigEndian.Uint16(d[14:])&0x8000 | uint16(n)
	binary.BigEndian.PutUint16(d[14:], low)
	return d
}

// Event returns the id of the delivery's event.
func (id DeliveryID) Event() EventID {
	e := EventID(id)
	e[14] &= 0x80
	e[15] = 0
	return e
}

// N returns the delivery's number within its event, from 1.
func (id DeliveryID) N() int {
	return int(binary.BigEndian.Uint16(id[14:]) & MaxDeliveries)
}

// Time returns the millisecond in which the event was received.
func (id EventID) Time() time.Time {
	ms := uint64(binary.BigEndian.Uint16(id[0:2]))<<32 | uint64(binary.BigEndian.Uint32(id[2:6]))
	return time.UnixMilli(int64(ms)).UTC()
}

// Call is the id of the call that the event is: the same digits, so that call_…
// and evt_… belong together at a glance.
func (id EventID) Call() string { return callPrefix + encode(id) }

// ParseCallID reads the form that [EventID.Call] writes. The error is
// [ErrInvalid] and says what was expected.
func ParseCallID(s string) (EventID, error) {
	raw, err := decode(s, callPrefix)
	if err != nil {
		return EventID{}, err
	}
	id := EventID(raw)
	if DeliveryID(id).N() != 0 {
		return EventID{}, Errorf(ErrInvalid, "%q is not a call id: it ends like a delivery's", s)
	}
	return id, nil
}

func (id EventID) IsZero() bool    { return id == EventID{} }
func (id DeliveryID) IsZero() bool { return id == DeliveryID{} }

func (id EventID) String() string    { return eventPrefix + encode(id) }
func (id DeliveryID) String() string { return deliveryPrefix + encode(id) }

func (id EventID) MarshalText() ([]byte, error)    { return []byte(id.String()), nil }
func (id DeliveryID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *EventID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseEventID(string(b))
	return err
}

func (id *DeliveryID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseDeliveryID(string(b))
	return err
}

// ParseEventID reads the form that String writes. The error is [ErrInvalid] and
// says what was expected.
func ParseEventID(s string) (EventID, error) {
	raw, err := decode(s, eventPrefix)
	if err != nil {
		return EventID{}, err
	}
	id := EventID(raw)
	if DeliveryID(id).N() != 0 {
		return EventID{}, Errorf(ErrInvalid, "%q is not an event id: it ends like a delivery's", s)
	}
	return id, nil
}

// ParseDeliveryID reads the form that String writes. The error is [ErrInvalid]
// and says what was expected.
func ParseDeliveryID(s string) (DeliveryID, error) {
	raw, err := decode(s, deliveryPrefix)
	if err != nil {
		return DeliveryID{}, err
	}
	id := DeliveryID(raw)
	if id.N() == 0 {
		return DeliveryID{}, Errorf(ErrInvalid, "%q is not a delivery id: it has no delivery number", s)
	}
	return id, nil
}

// encode writes 128 bits as 26 characters, the first of which holds 3 bits.
func encode(id [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	var out [26]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

func decode(s, prefix string) (id [16]byte, err error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return id, Errorf(ErrInvalid, "%q does not begin with %s", clip(s), prefix)
	}
	if len(digits) != 26 || digits[0] > '7' {
		return id, Errorf(ErrInvalid, "%q: %w", clip(s), errBadID)
	}
	var hi, lo uint64
	for i := range len(digits) {
		v := strings.IndexByte(alphabet, digits[i])
		if v < 0 {
			return id, Errorf(ErrInvalid, "%q: %w", clip(s), errBadID)
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}

// clip keeps a stranger's input from flooding an error message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
