package plan

import (
	"fmt"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

// These numbers never change: two versions that run side by side must agree.
func TestG5_ShardOfAnEntityNeverChanges(t *testing.T) {
	for entity, want := range map[string]uint64{
		"order/1001": 0xd683a84df56a99b4,
		"user/7":     0x4ff05faafe9720e8,
	} {
		if got := hash(entity); got != want {
			t.Errorf("%s: %#x, was %#x", entity, got, want)
		}
	}
}

func TestG5_OneEntityIsInOneShard(t *testing.T) {
	for n := range 9 {
		one, other := event("push", `{}`), event("pull", `[]`)
		other.ID[15]++
		if a, b := shard(one, n), shard(other, n); a != b {
			t.Errorf("of %d shards: %d and %d for one entity", n, a, b)
		}
	}
}

func TestShardsAreEven(t *testing.T) {
	const events, shards = 8000, 7
	for _, entity := range []string{"", "order/%d"} {
		counts := make([]int, shards)
		for i := range events {
			ev := &seawall.Event{}
			ev.ID[15], ev.ID[14] = byte(i), byte(i>>8)
			if entity != "" {
				ev.Entity = fmt.Sprintf(entity, i)
			}
			counts[shard(ev, shards)]++
		}
		for s, n := range counts {
			if want := events / shards; n < want*8/10 || n > want*12/10 {
				t.Errorf("entity %q: %d in shard %d, want about %d", entity, n, s, want)
			}
		}
	}
}
