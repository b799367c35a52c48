package nodes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/internal/store/sqlite"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// A move from SQLite to PostgreSQL that is killed again and again goes on where it
// was, and in the end all is there, once. A killed one counts as living for 15 s
// and until then keeps the next one out.
func TestG2_AKilledMoveGoesOn(t *testing.T) {
	t.Parallel()
	bin, err := rows.Build()
	must(t, err)
	kills := rows.Times(1, 10)
	const events = 20_000
	file := filepath.Join(t.TempDir(), "seawall.db")
	ids := fill(t, file, events)
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	url := database(t, c)
	move := func(ctx context.Context) (*exec.Cmd, *bytes.Buffer) {
		out := new(bytes.Buffer)
		cmd := exec.CommandContext(ctx, bin, "migrate", "store", "--from", "sqlite:"+file, "--to", url, "--json")
		cmd.Stdout, cmd.Stderr = out, out
		return cmd, out
	}
	moved := func() int {
		out, err := c.Exec("seawall", "SELECT count(*) FROM event")
		if err != nil {
			return 0 // there are no tables yet
		}
		n, err := strconv.Atoi(out)
		must(t, err)
		return n
	}
	// begin starts one that is not kept out by the one before.
	begin := func(from int) (cmd *exec.Cmd, out *bytes.Buffer, ended chan error) {
		for deadline := time.Now().Add(takeoverWithin); ; witness.Pause(t.Context(), 200*time.Millisecond) {
			cmd, out = move(t.Context())
			must(t, cmd.Start())
			ended = make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			for {
				select {
				case err := <-ended:
					if err == nil {
						ended <- nil
						return cmd, out, ended
					}
					if !strings.Contains(out.String(), "is being served by") || time.Now().After(deadline) {
						t.Fatalf("%v: %s", err, out)
					}
				case <-time.After(20 * time.Millisecond):
					if moved() > from {
						return cmd, out, ended
					}
					continue
				}
				break
			}
		}
	}

	r := rows.Random(18)
	for i := range kills {
		// Each a little further on, and none at the end.
		from := moved()
		goal := from + 1 + r.IntN(max(1, events*(i+1)/(kills+1)-from))
		cmd, out, ended := begin(from)
		for moved() < goal {
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was killed: %v, %s", err, out)
			default:
			}
		}
		must(t, cmd.Process.Kill())
		<-ended
		n := moved()
		if n == events {
			t.Errorf("kill %d came when all events were there already", i+1)
		}
		t.Logf("killed at %d of %d events", n, events)
	}
	_, out, ended := begin(moved())
	if err := <-ended; err != nil {
		t.Fatalf("the last one: %v, %s", err, out)
	}
	var report struct {
		Resumed, Already bool
		Parts            []struct{ Rows, Deliveries int }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !report.Resumed || report.Already || report.Parts[0].Rows != events || report.Parts[0].Deliveries != events {
		t.Errorf("the last one says %+v", report)
	}

	st, err := postgres.Open(t.Context(), url, postgres.Options{})
	must(t, err)
	defer st.Close()
	if n := moved(); n != events {
		t.Errorf("%d events are there, want %d", n, events)
	}
	for _, id := range ids {
		e, err := st.Event(t.Context(), id)
		if err != nil || string(e.Body) != body(e.SourceID) {
			t.Fatalf("%s: %v, %v", id, e, err)
		}
	}
	queues, err := st.Pending(t.Context())
	must(t, err)
	if len(queues) != 1 || queues[0].Count != events {
		t.Errorf("%+v waits, want %d deliveries", queues, events)
	}
}

// fill makes a store of SQLite with events that wait.
func fill(t *testing.T, file string, n int) (ids []seawall.EventID) {
	t.Helper()
	st, err := sqlite.Open(t.Context(), file, sqlite.Options{Exclusive: true})
	must(t, err)
	now := time.Now()
	for len(ids) < n {
		batch := make([]store.Acceptance, 200)
		for i := range batch {
			key := fmt.Sprint(len(ids))
			e := &seawall.Event{ID: seawall.NewEventID(now, rand.Reader), Source: "shop", SourceID: key, ReceivedAt: now, Body: []byte(body(key))}
			ids = append(ids, e.ID)
			batch[i] = store.Acceptance{Event: e, Expires: now.Add(time.Hour), Deliveries: []seawall.Delivery{
				{ID: e.ID.Delivery(1), Route: "r", Destination: "orders", System: "orders", Due: now}}}
		}
		_, err := st.Accept(t.Context(), batch)
		must(t, err)
	}
	must(t, st.Close())
	info, err := os.Stat(file)
	must(t, err)
	t.Logf("%d events in %d MB", n, info.Size()>>20)
	return ids
}

func body(key string) string {
	return fmt.Sprintf(`{"key":%q,"fill":%q}`, key, strings.Repeat("x", 300))
}
