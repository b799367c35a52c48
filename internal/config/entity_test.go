package config

import (
	"strings"
	"testing"
)

func TestOverlap(t *testing.T) {
	for _, c := range []struct{ of, with, apart string }{
		{"*", "* a a.* *.*", ""},
		{"a.b", "a.b a.* *b *", "a.c a a.b.c .b"},
		{"order.*", "order. order.x *.paid *", "orders.* user.*"},
		{"*.paid", "order.* *.p* x.paid", "order.created paid *.made"},
		{"a*b*c", "abc a*c *b* axbxc *", "a*d abd b*c"},
	} {
		for _, both := range []struct {
			patterns string
			want     bool
		}{{c.with, true}, {c.apart, false}} {
			for p := range strings.FieldsSeq(both.patterns) {
				if overlap(c.of, p) != both.want || overlap(p, c.of) != both.want {
					t.Errorf("%s and %s: want %t", c.of, p, both.want)
				}
			}
		}
	}
}

// Two patterns overlap exactly if some type matches both.
func TestOverlapIsExact(t *testing.T) {
	words := func(letters string, most int) []string {
		all, last := []string{}, []string{""}
		for range most {
			var next []string
			for _, w := range last {
				for _, l := range letters {
					next = append(next, w+string(l))
				}
			}
			all, last = append(all, next...), next
		}
		return all
	}
	patterns, kinds := words("ab*", 3), append(words("ab", 6), "")
	for _, p := range patterns {
		for _, q := range patterns {
			want := false
			for _, k := range kinds {
				want = want || covers(p, k) && covers(q, k)
			}
			if overlap(p, q) != want {
				t.Errorf("%s and %s: want %t", p, q, want)
			}
		}
	}
}
