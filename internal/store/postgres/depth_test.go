package postgres

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// A count that took long is not made again for each who asks, and nobody waits
// for the next one.
func TestG7_ALongCountIsServedForAWhile(t *testing.T) {
	s, err := Open(t.Context(), pgcluster.Shared(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	run(t, s, `INSERT INTO lane (system, shard) VALUES ('orders', 0);
		INSERT INTO queue (destination, lane) SELECT system, id FROM lane;
		INSERT INTO delivery (id, event, part, queue, state, due, size, route, revision, flags, attempts, round)
			SELECT i, gen_random_uuid(), 0, 1, 0, now(), 1, 1, 1, 0, 0, 0 FROM generate_series(1, 30000) i`)
	pending := func() int64 {
		t.Helper()
		ds, err := s.Depths(t.Context())
		if err != nil || len(ds) != 1 || ds[0].OldestDue.IsZero() {
			t.Fatalf("got %+v, %v", ds, err)
		}
		return ds[0].Pending
	}
	if n := pending(); n != 30000 {
		t.Fatalf("%d pending, want 30000", n)
	}
	s.depths.took = time.Minute // as if it were millions
	run(t, s, "DELETE FROM delivery WHERE id <= 5000")
	if n := pending(); n != 30000 {
		t.Errorf("it was counted again: %d", n)
	}
	s.depths.at = time.Now().Add(-agedBy*time.Minute - time.Second)
	if n := pending(); n != 30000 {
		t.Errorf("it was waited for: %d", n)
	}
	s.background.works.Wait()
	if n := pending(); n != 25000 {
		t.Errorf("%d pending after a new count, want 25000", n)
	}
	run(t, s, "DELETE FROM delivery WHERE id <= 20000")
	s.depths.took = 0
	pending()
	run(t, s, "DELETE FROM delivery WHERE id <= 25000")
	if n := pending(); n != 5000 {
		t.Errorf("of few, %d are pending, want 5000", n)
	}
}
