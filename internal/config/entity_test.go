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
