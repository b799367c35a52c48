package app

import "testing"

func TestTroubleIsToldWhenItChanges(t *testing.T) {
	var ts troubles
	for i, c := range []struct {
		destination, err string
		want             turn
	}{
		{"a", "", same}, {"a", "refused", began}, {"a", "refused", same}, {"b", "", same},
		{"a", "HTTP 500", began}, {"b", "refused", began}, {"a", "", ended}, {"a", "", same}, {"b", "refused", same},
	} {
		if got := ts.note(c.destination, c.err); got != c.want {
			t.Errorf("step %d, %s %q: %d, want %d", i, c.destination, c.err, got, c.want)
		}
	}
}
