package plan

import "github.com/seawall-dev/seawall/seawall"

// shard is where among n an event's deliveries wait: with all others of its
// entity, or where it has none, anywhere. It is the same on every node and in
// every version, or what belongs to one entity would be in two shards while one
// version takes another's place.
func shard(ev *seawall.Event, n int) int {
	if n <= 1 {
		return 0
	}
	var h uint64
	if ev.Entity != "" {
		h = hash(ev.Entity)
	} else {
		h = hash(ev.ID.String())
	}
	return int(h % uint64(n))
}

// hash is FNV-1a of 64 bits, stirred once more: its low bits alone are those of
// the last few letters.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>32
}
