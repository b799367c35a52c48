package faults

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// Row 15. Far more senders than can be served, each sending again at once, with
// bodies of 1 KiB and of up to 200 KiB: memory stays under its bound, every
// request is answered within a second by an ack or by 429 or 503 with
// Retry-After, and what was acknowledged is delivered. Soon after, all is as
// before.
func TestG8_OverloadIsAnsweredAndBounded(t *testing.T) {
	for _, c := range []struct {
		mib, senders int
	}{{512, 3000}, {96, 1500}} {
		t.Run(fmt.Sprintf("%d MiB", c.mib), func(t *testing.T) {
			span := rows.Size(8*time.Second, 5*time.Minute)
			overload(t, int64(c.mib)<<20, c.senders, span, rows.Size(40_000, 400_000))
		})
	}
}

func overload(t *testing.T, memory int64, senders int, span time.Duration, most int) {
	var mu sync.Mutex
	got := map[uint64]int{} // by the hash of the body
	large, err := load.NewSink(func(r load.Request) int {
		mu.Lock()
		defer mu.Unlock()
		got[sum(r.Body)]++
		return 200
	})
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	s := open(t, t.TempDir(), witness.Setup{
		Sources:      `  bulk: { provider: github, secret: "${WITNESS_SOURCE_SECRET}" }`,
		Destinations: `  bulk: { url: "http://` + large.Addr + `/", concurrency: 64 }`,
		Routes:       `  - { from: bulk, to: bulk }`,
		Extra:        fmt.Sprintf("limits: { memory: %d }", memory),
	}, nil)
	s.start()
	s.ready()
	quiet := s.paced(0, 100, 2*time.Second)

	var (
		told  answers
		wg    sync.WaitGroup
		next  atomic.Int64
		silly atomic.Int64 // refusals without Retry-After
		acked sync.Map
	)
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	for i := range senders {
		wg.Go(func() {
			b := &bulk{addr: s.gateway.Addr}
			defer b.close()
			for ctx.Err() == nil {
				n := int(next.Add(1))
				if n > most {
					return
				}
				size := 1 << 10
				if i%10 == 0 {
					size = 200 << 10 / (1 + n%7)
				}
				body := fill(n, size)
				for ctx.Err() == nil {
					status, after, took := b.send(n, body)
					told.note(status, took)
					if status/100 == 2 {
						acked.Store(sum(body), true)
						break
					}
					if status == 503 || status == 429 {
						if after == "" {
							silly.Add(1)
						}
						witness.Pause(ctx, 50*time.Millisecond) // nobody waits as long as he is asked to
					}
				}
			}
		})
	}
	wg.Wait()
	high := peak(t, s.gateway.PID())
	back := until(t, 30*time.Second, "all is as before", func() bool {
		b := &bulk{addr: s.gateway.Addr}
		defer b.close()
		n := int(next.Add(1)) + most
		body := fill(n, 1024)
		status, _, took := b.send(n, body)
		if status/100 == 2 {
			acked.Store(sum(body), true)
		}
		return status/100 == 2 && took < 200*time.Millisecond
	})
	after := s.paced(1_000_000, 100, 2*time.Second)
	began := time.Now()
	left := 0
	for deadline := began.Add(5 * time.Minute); ; witness.Pause(t.Context(), 100*time.Millisecond) {
		left = 0
		acked.Range(func(key, _ any) bool {
			mu.Lock()
			defer mu.Unlock()
			if got[key.(uint64)] == 0 {
				left++
			}
			return true
		})
		if left == 0 || time.Now().After(deadline) {
			break
		}
	}
	if left > 0 {
		t.Errorf("%d acknowledged events were not delivered", left)
	}
	drained := time.Since(began)
	high = max(high, peak(t, s.gateway.PID()))
	s.delivered(20 * time.Second)
	t.Logf("%d senders: %d acknowledged, others %v, the slowest in %s; peak %d KiB of %d; back after %s, drained in %s; p99 %s before, %s after",
		senders, told.ok, told.by, told.slowest.Round(time.Millisecond), high>>10, memory>>10, back.Round(time.Millisecond),
		drained.Round(time.Millisecond), load.Quantile(quiet, 0.99).Round(10*time.Microsecond), load.Quantile(after, 0.99).Round(10*time.Microsecond))
	if high > memory {
		t.Errorf("%d KiB of memory, want at most %d", high>>10, memory>>10)
	}
	if told.by[503]+told.by[429] == 0 {
		t.Error("nobody was refused: no overload")
	}
	for status, n := range told.by {
		// An answer may be lost to a reset, where a connection is turned away.
		if status != 429 && status != 503 && !(status == 0 && n <= (told.by[503]+told.ok)/100) {
			t.Errorf("%d answers %d", n, status)
		}
	}
	if n := silly.Load(); n > 0 {
		t.Errorf("%d refusals without Retry-After", n)
	}
	// As the clients see it, who share two cores with the gateway.
	if told.slowest > 5*time.Second {
		t.Errorf("a refusal took %s", told.slowest)
	}
}

// fill is the body of the n-th event.
func fill(n, size int) []byte {
	b := bytes.Repeat([]byte("x"), size)
	copy(b, fmt.Sprintf(`{"n":%d,"text":"`, n))
	copy(b[size-2:], `"}`)
	return b
}

func sum(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// bulk is one connection of a sender.
type bulk struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
}

func (b *bulk) close() {
	if b.c != nil {
		b.c.Close()
		b.c = nil
	}
}

// send returns the status, 0 for none, and Retry-After.
func (b *bulk) send(n int, body []byte) (status int, after string, took time.Duration) {
	mac := hmac.New(sha256.New, []byte(witness.SourceSecret))
	mac.Write(body)
	head := fmt.Sprintf("POST /in/bulk HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\n"+
		"X-GitHub-Delivery: bulk-%012d\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n", n, hex.EncodeToString(mac.Sum(nil)), len(body))
	if b.c == nil {
		c, err := net.DialTimeout("tcp", b.addr, 30*time.Second)
		if err != nil {
			return 0, "", 0
		}
		b.c, b.r = c, bufio.NewReader(c)
	}
	began := time.Now()
	b.c.SetDeadline(began.Add(30 * time.Second))
	_, err := b.c.Write(append([]byte(head), body...))
	if err == nil {
		var resp *http.Response
		if resp, err = http.ReadResponse(b.r, nil); err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			status, after = resp.StatusCode, resp.Header.Get("Retry-After")
			if resp.Close {
				b.close()
			}
		}
	}
	if err != nil {
		b.close()
		return 0, "", time.Since(began)
	}
	return status, after, time.Since(began)
}
