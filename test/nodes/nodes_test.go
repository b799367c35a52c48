package nodes

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/witness"
)

var (
	full   = flag.Bool("faults.full", false, "each row at full length")
	parts  = flag.Int("faults.parts", 1, "of the full length only one of so many parts: each count divided by this")
	seed   = flag.Uint64("faults.seed", 0, "of everything random; 0: a new one")
	binary = flag.String("faults.binary", "", "the gateway to test (default: built from this tree)")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Printf("-faults.seed %d\n", *seed)
	dir, err := os.MkdirTemp("", "seawall-nodes-")
	if err != nil {
		panic(err)
	}
	builds = dir
	code := pgcluster.Main(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

var builds string

var build = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return *binary, nil
	}
	return witness.Build(builds)
})

// times is how often a row does its thing: a fraction, all of it, or one part of
// all, whose counts add up over runs with different seeds.
func times(fraction, all int) int { return size(fraction, (all+*parts-1) / *parts) }

// size is what does not add up over parts: a load, a length, how many at once.
func size[T int | time.Duration](fraction, all T) T {
	if *full {
		return all
	}
	return fraction
}

// random is a source of its own for each test, from the one seed.
func random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(*seed, stream)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
