package verify

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"sync"
	"testing"
)

// Kept states give what fresh ones give: for keys long and short, more of them
// than are kept, again and again, and by many at once.
func TestSumsOfKeptStates(t *testing.T) {
	var wg sync.WaitGroup
	for _, a := range Algorithms {
		for range 4 {
			wg.Go(func() {
				for i := range 2*keptKeys + 10 {
					key := bytes.Repeat([]byte{byte(i)}, i%200+1)
					key = fmt.Append(key, i/2) // each twice in a row
					parts := [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), i%70)}
					mac := hmac.New(a.make, key)
					for _, p := range parts {
						mac.Write(p)
					}
					want := mac.Sum(nil)
					for range 2 { // by a new state, and by the kept one
						if !bytes.Equal(a.Sum(key, parts...), want) {
							t.Errorf("%s, key %d: not the sum of a fresh state", a.Name, i)
						}
					}
				}
			})
		}
	}
	wg.Wait()
}

func BenchmarkSum(b *testing.B) {
	key, body := []byte("a secret of the usual length, 32"), bytes.Repeat([]byte("x"), 1024)
	b.ReportAllocs()
	for b.Loop() {
		SHA256.Sum(key, body)
	}
}
