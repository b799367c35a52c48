package faults

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

// bad is a destination that misbehaves; it counts what it was sent.
type bad struct {
	name  string
	url   string
	tries atomic.Int64
	wrote atomic.Int64 // bytes of answers, as far as they were taken

	mu   sync.Mutex
	last map[string]time.Time // by webhook-id
	soon int                  // tries that came before they were asked for
}

// counted notes what was written of an answer.
type counted struct {
	http.ResponseWriter
	b *bad
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.b.wrote.Add(int64(n))
	return n, err
}

const askedFor = 4 * time.Second

// misbehaviour is what they answer.
var misbehaviour = map[string]func(b *bad, w http.ResponseWriter, r *http.Request){
	"hang": func(_ *bad, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"drip": func(_ *bad, w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write([]byte("."))
			w.(http.Flusher).Flush()
			witness.Pause(r.Context(), time.Second)
		}
	},
	"endless": func(b *bad, w http.ResponseWriter, r *http.Request) {
		io.CopyN(counted{w, b}, zeros{}, 1<<30)
	},
	"bomb": func(_ *bad, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb())
	},
	"loop": func(_ *bad, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
	},
	"reset": func(_ *bad, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusInternalServerError)
		w.(http.Flusher).Flush()
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	},
	"early": func(_ *bad, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</"+strings.Repeat("x", 1000)+">")
		for range 10_000 {
			if r.Context().Err() != nil {
				return
			}
			w.WriteHeader(http.StatusEarlyHints)
		}
	},
	"later": func(b *bad, w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("webhook-id")
		b.mu.Lock()
		if at, ok := b.last[id]; ok && time.Since(at) < askedFor-50*time.Millisecond {
			b.soon++
		}
		b.last[id] = time.Now()
		b.mu.Unlock()
		w.Header().Set("Retry-After", fmt.Sprint(int(askedFor.Seconds())))
		w.WriteHeader(http.StatusTooManyRequests)
	},
	"gone": func(_ *bad, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
	"tls":  func(*bad, http.ResponseWriter, *http.Request) {},
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.CopyN(z, zeros{}, 64<<20)
	z.Close()
	return b.Bytes()
})

func newBad(t *testing.T, name string) *bad {
	t.Helper()
	b := &bad{name: name, last: map[string]time.Time{}}
	answer := misbehaviour[name]
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.tries.Add(1)
		io.Copy(io.Discard, r.Body)
		answer(b, w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if name == "tls" {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{expired(t)}}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	b.url = s.URL
	return b
}

// expired is a certificate that has run out, for another host.
func expired(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"other.example"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Row 12. Destinations that hang, drip, never end, loop, break off, blow up,
// ask to wait or are gone: the others' deliveries go on as before, what is asked
// for is honoured, and no more is read of an answer than has a bound.
func TestG7_BadDestinationsHurtThemselvesOnly(t *testing.T) {
	var bads []*bad
	var destinations, routes strings.Builder
	for name := range misbehaviour {
		b := newBad(t, name)
		bads = append(bads, b)
		fmt.Fprintf(&destinations, "  %s: { url: \"%s/\", concurrency: 4, timeout: 3s, retry: { first: 1s, cap: 2s, max: 50 } }\n", name, b.url)
		fmt.Fprintf(&routes, "  - { from: trouble, to: %s }\n", name)
	}
	var mu sync.Mutex
	var waits []time.Duration // from ack to delivery is not known here: from sending
	sent := map[int]time.Time{}
	s := open(t, t.TempDir(), witness.Setup{
		Sources:      `  trouble: { provider: none }`,
		Destinations: strings.TrimSuffix(destinations.String(), "\n"),
		Routes:       strings.TrimSuffix(routes.String(), "\n"),
	}, func(r witness.Received) int {
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, time.Since(sent[r.Seq]))
		return 200
	})
	s.start()
	s.ready()
	span := rows.Size(5*time.Second, time.Minute)
	deliver := func(first int) (n int, p99 time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), span+time.Minute)
		defer cancel()
		mu.Lock()
		waits = nil
		mu.Unlock()
		sender := witness.NewSender(ctx, s.history, 100_000, nil, s.gateway.Addr)
		began := time.Now()
		for seq := first; time.Since(began) < span; seq++ {
			mu.Lock()
			sent[seq] = time.Now()
			mu.Unlock()
			sender.Queue(seq)
			witness.Pause(ctx, 5*time.Millisecond)
		}
		if err := sender.Settle(ctx); err != nil {
			s.fatal("%v", err)
		}
		until(t, 30*time.Second, "the good destination has everything", func() bool { return s.history.Missing() == 0 })
		mu.Lock()
		defer mu.Unlock()
		return len(waits), load.Quantile(waits, 0.99)
	}
	calmN, calm := deliver(0)
	for i := range rows.Size(30, 500) {
		if status := post(t, s.gateway.Addr, "/in/trouble", fmt.Appendf(nil, `{"n":%d}`, i)); status != 200 {
			t.Fatalf("answered %d", status)
		}
	}
	n, busy := deliver(1_000_000)
	t.Logf("good deliveries: %d, p99 %s before; %d, p99 %s beside bad ones (×%.2f, ×%.2f)", calmN, calm.Round(10*time.Microsecond),
		n, busy.Round(10*time.Microsecond), float64(n)/float64(calmN), float64(busy)/float64(calm))
	// The aims are 10 and 20 per cent, by the median of many runs on a quiet machine.
	if n < calmN/2 || busy > 10*calm && busy > 2*time.Second {
		t.Errorf("the good destination got %d instead of %d, p99 %s instead of %s", n, calmN, busy, calm)
	}
	for _, b := range bads {
		tries := b.tries.Load()
		t.Logf("%-8s %d tries, %d KiB written", b.name, tries, b.wrote.Load()>>10)
		switch {
		case b.name == "tls" && tries > 0:
			t.Error("tls: a request was sent to a server whose certificate has expired")
		case b.name != "tls" && tries == 0:
			t.Errorf("%s was never tried", b.name)
		case b.name == "gone" && tries > 4:
			t.Errorf("gone: %d tries, want no more than were in flight", tries)
		case b.name == "later" && b.soon > 0:
			t.Errorf("later: %d tries came before %s", b.soon, askedFor)
		case b.name == "endless" && b.wrote.Load() > tries*(16<<20):
			t.Errorf("endless: %d MiB were taken in %d tries", b.wrote.Load()>>20, tries)
		}
	}
	if high := peak(t, s.gateway.PID()); high > 512<<20 {
		t.Errorf("%d MiB of memory", high>>20)
	}
	s.gateway.Discard() // what hangs would hold up a stop
	s.judge()
}
