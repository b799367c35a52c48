package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

var (
	kills  = flag.Int("crash.kills", 5, "how often to kill the gateway (1 to 1000)")
	rate   = flag.Int("crash.rate", 500, "events per second (1 to 5000)")
	seed   = flag.Uint64("crash.seed", 0, "of the times of the kills; 0: a new one")
	binary = flag.String("crash.binary", "", "the gateway to kill (default: built from this tree)")
	keep   = flag.Bool("crash.keep", false, "keep the store and the log, and say where")
)

// takeoverWithin is how soon after its start a gateway delivers what a killed
// one left behind.
const takeoverWithin = 20 * time.Second

// recorded is one history for all tests: each looks at another promise.
type recorded struct {
	history    *witness.History
	takeover   Takeover
	violations []witness.Violation
}

var record = sync.OnceValues(func() (*recorded, error) {
	if *kills < 1 || *kills > 1000 || *rate < 1 || *rate > 5000 {
		return nil, errors.New("-crash.kills or -crash.rate is out of bounds")
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	dir, err := os.MkdirTemp("", "seawall-crash-")
	if err != nil {
		return nil, err
	}
	if *keep {
		fmt.Printf("the store and the log stay in %s\n", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	bin, err := build(dir)
	if err != nil {
		return nil, err
	}
	fmt.Printf("%d kills at %d events/s, -crash.seed %d\n", *kills, *rate, *seed)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(*kills)*10*time.Second+2*time.Minute)
	defer cancel()
	h, t, err := Record(ctx, Run{Binary: bin, Dir: dir, Kills: *kills, Rate: *rate, Seed: *seed, SettleFor: 40 * time.Second})
	if err != nil {
		return nil, err
	}
	sent, acked, requests, delivered := h.Counts()
	fmt.Printf("%d events sent, %d acknowledged, %d delivered by %d requests\n", sent, acked, delivered, requests)
	if len(t) > 0 {
		fmt.Printf("from restart to first delivery: median %s, at most %s, in %d of %d restarts\n",
			t[len(t)/2].Round(time.Millisecond), t[len(t)-1].Round(time.Millisecond), len(t), *kills)
	}
	return &recorded{h, t, witness.Check(h)}, nil
})

// build makes the gateway in a directory, unless one was given.
func build(dir string) (string, error) {
	if *binary != "" {
		return *binary, nil
	}
	return witness.Build(dir)
}

// promise fails for each violation of a guarantee, the first few in full.
func promise(t *testing.T, guarantee string) *recorded {
	t.Helper()
	r, err := record()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range r.violations {
		if v.Guarantee != guarantee {
			continue
		}
		if n++; n <= 10 {
			t.Errorf("%s: %s", v.Guarantee, v.What)
		}
	}
	if n > 10 {
		t.Errorf("%s: and %d more", guarantee, n-10)
	}
	return r
}

// G1, and G2 with it: what was acknowledged was delivered, byte for byte, and
// nothing else was.
func TestG1_AcknowledgedSurvivesKill(t *testing.T) {
	r := promise(t, "G1")
	// A run in which little was acknowledged would prove little.
	if sent, acked, _, _ := r.history.Counts(); acked < sent || acked < *kills**rate/10 {
		t.Errorf("%d of %d events acknowledged: too few to tell", acked, sent)
	}
}

func TestG2_NothingStaysUndelivered(t *testing.T) {
	r := promise(t, "G2")
	if n := r.history.Missing(); n > 0 {
		t.Errorf("%d acknowledged events undelivered at the end", n)
	}
}

func TestG3_OneSourceEventIsOneEvent(t *testing.T) { promise(t, "G3") }

func TestG4_RepeatsAreBoundedAndKeepTheirID(t *testing.T) { promise(t, "G4") }

func TestG4_TakeoverIsSoon(t *testing.T) {
	r := promise(t, "")
	if len(r.takeover) == 0 {
		t.Fatal("no restarted gateway delivered anything")
	}
	if most := r.takeover[len(r.takeover)-1]; most > takeoverWithin {
		t.Errorf("the first delivery came %s after a restart, want at most %s", most, takeoverWithin)
	}
}
