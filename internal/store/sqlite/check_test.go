package sqlite

import (
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

func TestCheckFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		harm  string // to a store with an event of two deliveries, one waiting and one dead
		found string // "" for a sound one
	}{
		{"SELECT 1", ""},
		{"DELETE FROM event", "delivery 32769 waits, but its event is not there"},
		{"DELETE FROM event", "delivery 32770 has ended, but its event is not there"},
		{"DELETE FROM event", "a dedupe key stands for event 1, which is not there"},
		{"DELETE FROM event; DELETE FROM unfinished; DELETE FROM finished", "the next event would get the number of one before, 1"},
		{"UPDATE finished SET id = 32769", "delivery 32769 waits and has ended"},
		{"UPDATE unfinished SET state = 4", "delivery 32769 waits in a state that it cannot be in"},
		{"UPDATE finished SET state = 1", "delivery 32770 has ended in a state that it cannot be in"},
		{"UPDATE unfinished SET queue = 99", "delivery 32769 is in a queue that is not there"},
		{"UPDATE finished SET queue = 99", "delivery 32770 is in a queue that is not there"},
		{"UPDATE finished SET route = 99", "delivery 32770 came by a route that has no name"},
		{"INSERT INTO attempt VALUES (5, 1, x'01')", "an attempt belongs to delivery 5, which is not there"},
		{"UPDATE event SET uid = x'0102'", "event 1 has an id that is none"},
		{"UPDATE event SET source = 99", "event 1 came from a source that has no name"},
		{"INSERT INTO repeat VALUES (7, 1, 0)", "repeats are counted of event 7, which is not there"},
		{"INSERT INTO arrival (source, at, verdict, event, status, body_size) VALUES ('s', 1, 1, 7, 200, 0)", "an arrival repeated event 7, which is not there"},
		{"UPDATE event SET plan = x'ff'", "the plan of event 1 cannot be read"},
		{"UPDATE event SET request = x'ff'", "the request of event 1 cannot be read"},
		{"UPDATE finished SET last = x'ff'", "the last attempt of delivery 32770 cannot be read"},
		{"INSERT INTO attempt VALUES (32769, 1, x'ff')", "an attempt of delivery 32769 cannot be read"},
		{"UPDATE unfinished SET origin = 99", "delivery 32769 was first in a queue that is not there"},
		{"INSERT INTO answer VALUES (5, 1, 200, 0, NULL, NULL)", "an answer belongs to delivery 5, which is not there"},
		{"INSERT INTO answer VALUES (32769, 1, 200, 0, x'ff', NULL)", "the headers of the answer to delivery 32769 cannot be read"},
		{"UPDATE unfinished SET line = 99", "delivery 32769 is in a line that is not there"},
		{"UPDATE unfinished SET flags = 32, entity = 'order/1'", "delivery 32769 has an order and is in no line"},
		{aPosition + "UPDATE position SET head = 0; UPDATE unfinished SET line = 1, flags = 32", "delivery 32769 may be sent though it is not its turn"},
		{aPosition + "UPDATE position SET queue = 99", "position 1 is of a destination or a queue that is not there"},
		{aPosition + "UPDATE position SET waiting = 1", "in the line of position 1 others wait than it counts"},
		{aPosition + "UPDATE unfinished SET id = id + 1000", "in the line of position 1 it is the turn of one that is not there"},
		{aPosition + "UPDATE position SET block = 5", "the line of position 1 is held up by one that is not dead"},
		{aPosition + "UPDATE position SET head = 0, waiting = 1; UPDATE unfinished SET line = 1, state = 1, reason = 'earlier', due = 253370764800000000",
			"in the line of position 1 some wait, and nothing will give one its turn"},
		{aPosition + "UPDATE position SET data = x'ff'", "what is kept of position 1 cannot be read"},
		{"UPDATE event SET fresh = x'01030103' || x'00'; UPDATE memo SET value = 1 WHERE key = 'fresh'; INSERT INTO memo VALUES ('fresh', 1) ON CONFLICT DO NOTHING", "delivery 3 of event 1 is missing"},
		{"UPDATE event SET fresh = x'ff'", "what is said of the deliveries of event 1 cannot be read"},
		{"INSERT INTO unresolved VALUES (7, 'order', 's', 'r', 1, 1)", "event 7 waits to learn whose its record is, and is not there"},
		{"INSERT INTO alias VALUES ('u/a', 'u/b'); INSERT INTO link (entity, system, record, name, at) VALUES ('u/a', 's', 'r', 'u', 1)",
			"link 1 is of an entity that was merged into another"},
		{"INSERT INTO alias VALUES ('u/a', 'u/b'), ('u/b', 'u/c')", "u/a was merged into an entity that was merged into another"},
		{"PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'event_entity'; PRAGMA writable_schema = OFF", "never used"},
	} {
		t.Run(c.harm, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seawall.db")
			small(t, path)
			w, err := openConn(path, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.exec(c.harm); err != nil {
				t.Fatal(err)
			}
			w.close()
			problems, err := Check(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if c.found == "" && len(problems) > 0 || c.found != "" &&
				!slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.found) }) {
				t.Errorf("found %q, want %q", problems, c.found)
			}
		})
	}
}

// aPosition makes a position of the destination a.
const aPosition = "INSERT INTO position (destination, entity, queue, head, waiting, at, data) VALUES (1, 'order/1', 1, 32769, 0, 1, x'0102'); "

// small makes a store with one event, of which one delivery waits and one is dead.
func small(t *testing.T, path string) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: "1", Entity: "order/1", ReceivedAt: now,
		Decisions: []seawall.Decision{{Route: "r", Matched: true}}}
	ds := []seawall.Delivery{
		{Route: "r", Destination: "a", System: "a"},
		{Route: "r2", Destination: "b", System: "b", State: seawall.Dead},
	}
	if _, err := s.Accept(t.Context(), []store.Acceptance{{Event: e, Expires: now.Add(time.Hour), Deliveries: ds}}); err != nil {
		t.Fatal(err)
	}
}

func TestCheckLeavesLaterLayoutsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	small(t, path)
	w, err := openConn(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	w.close()
	if _, err := Check(t.Context(), path); !errors.Is(err, seawall.ErrConflict) || seawall.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
}
