package app

import (
	"testing"
	"time"
)

func TestTroubleIsToldWhenItChanges(t *testing.T) {
	var ts troubles
	begin := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		at               int // seconds
		destination, err string
		want             turn
	}{
		{0, "a", "", same}, {0, "a", "refused", began}, {1, "a", "refused", same}, {1, "b", "", same},
		{2, "a", "", same}, {3, "a", "refused", same}, // it comes and goes
		{20, "a", "HTTP 500", began}, {20, "b", "refused", began},
		{40, "a", "", ended}, {60, "a", "", same}, {60, "b", "refused", same},
	} {
		if got := ts.note(c.destination, c.err, begin.Add(time.Duration(c.at)*time.Second)); got != c.want {
			t.Errorf("step %d, %s %q: %d, want %d", i, c.destination, c.err, got, c.want)
		}
	}
}
