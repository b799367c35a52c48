// Package rows is what the rows of the fault matrix have in common: how long they
// are, the seed of everything random in them, and the gateway that they test.
package rows

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

// Flags of every package of rows.
var (
	Full = flag.Bool("faults.full", false, "each row at full length")
	Seed = flag.Uint64("faults.seed", 0, "of everything random; 0: a new one")

	parts  = flag.Int("faults.parts", 1, "of the full length only one of so many parts: each count divided by this")
	binary = flag.String("faults.binary", "", "the gateway to test (default: built from this tree)")
)

var builds string

// Main is a package's TestMain: run runs its tests.
func Main(m *testing.M, run func(*testing.M) int) {
	flag.Parse()
	if *Seed == 0 {
		*Seed = rand.Uint64()
	}
	fmt.Printf("-faults.seed %d\n", *Seed)
	dir, err := os.MkdirTemp("", "seawall-rows-")
	if err != nil {
		panic(err)
	}
	builds = dir
	code := run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// Build returns the gateway, which is built once.
var Build = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return *binary, nil
	}
	return witness.Build(builds)
})

// Times is how often a row does its thing: a fraction, all of it, or one part of
// all, whose counts add up over runs with different seeds.
func Times(fraction, all int) int { return Size(fraction, (all+*parts-1) / *parts) }

// Size is what does not add up over parts: a load, a length, how many at once.
func Size[T int | time.Duration](fraction, all T) T {
	if *Full {
		return all
	}
	return fraction
}

// Random is a source of its own for each test, from the one seed.
func Random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(*Seed, stream)) }
