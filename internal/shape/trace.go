package shape

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"

	"github.com/seawall-dev/seawall/seawall"
)

// traceparent puts all attempts of all deliveries of an event into one trace
// (W3C Trace Context, section 3.2): its id is the event's, that of the span
// follows from delivery and attempt. So both are known without being kept. The
// trace is marked as sampled, since the other mark makes a receiver that follows
// its parent record nothing.
func traceparent(event seawall.EventID, d seawall.DeliveryID, attempt int) string {
	var b [55]byte
	copy(b[:], "00-")
	hex.Encode(b[3:], event[:])
	b[35] = '-'
	h := fnv.New64a()
	h.Write(d[:])
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(attempt))
	h.Write(n[:])
	binary.BigEndian.PutUint64(n[:], h.Sum64()|1) // zero is no id
	hex.Encode(b[36:], n[:])
	copy(b[52:], "-01")
	return string(b[:])
}
