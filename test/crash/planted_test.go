package crash

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/witness"
)

// plantedBug is set where this test binary is started as if it were the
// gateway: one that acknowledges what it only has in memory.
const plantedBug = "CRASH_PLANTED_BUG"

func TestMain(m *testing.M) {
	if os.Getenv(plantedBug) != "" && len(os.Args) > 1 && os.Args[1] == "serve" {
		os.Exit(forget(os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

// The whole harness is only worth something if it catches a gateway that
// acknowledges before it commits.
func TestHarnessCatchesAnAckBeforeCommit(t *testing.T) {
	t.Setenv(plantedBug, "yes")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := Record(t.Context(), Run{Binary: self, Dir: t.TempDir(), Kills: 2, Rate: 500, Seed: 1, SettleFor: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, v := range witness.Check(h) {
		if strings.Contains(v.What, "never delivered") {
			lost++
		}
	}
	if sent, acked, _, delivered := h.Counts(); lost == 0 || delivered == 0 {
		t.Errorf("%d sent, %d acknowledged, %d delivered, and the checker misses %d", sent, acked, delivered, lost)
	}
}

// forget is the gateway with the bug: memory is its only store, and it delivers
// more slowly than it accepts, so that there is something to forget.
func forget(config string) int {
	text, err := os.ReadFile(config)
	if err != nil {
		return 1
	}
	find := func(pattern string) string { return string(regexp.MustCompile(pattern).FindSubmatch(text)[1]) }
	listen, sink := find(`(?m)^listen: "(.*)"`), find(`url: "(.*?)"`)
	type event struct {
		id   string
		body []byte
	}
	memory := make(chan event, 100_000)
	for range 4 {
		go func() {
			for e := range memory {
				if err := pass(sink, e.id, e.body); err != nil {
					panic(err)
				}
			}
		}()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	server := &http.Server{Addr: listen, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		memory <- event{r.Header.Get("X-GitHub-Delivery"), body}
		w.WriteHeader(http.StatusAccepted)
	})}
	go server.ListenAndServe()
	<-stop
	return 0
}

// pass delivers an event, and tries again at once where it is refused.
func pass(sink, id string, body []byte) error {
	for {
		req, err := http.NewRequest(http.MethodPost, sink, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Idempotency-Key", id)
		if err := load.SignWebhook(witness.SinkSecret, req.Header, id, body, time.Now()); err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}
