package load

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRequestIsSignedWholeAndStable(t *testing.T) {
	s := NewSource("/in/load", "a secret of some length", "run1")
	for _, n := range []int{0, 7, 1_234_567} {
		raw := bytes.Clone(s.Request(n))
		if !bytes.Equal(raw, s.Request(n)) {
			t.Fatalf("event %d: two requests differ", n)
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(body) != bodySize || !json.Valid(body) {
			t.Errorf("event %d: %d bytes, valid JSON: %v", n, len(body), json.Valid(body))
		}
		if got, ok := Intact(body); !ok || got != n {
			t.Errorf("event %d: reads back as %d, %v", n, got, ok)
		}
		mac := hmac.New(sha256.New, []byte("a secret of some length"))
		mac.Write(body)
		if got, want := req.Header.Get("X-Hub-Signature-256"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("signature %s, want %s", got, want)
		}
		body[len(body)-3] ^= 1
		if _, ok := Intact(body); ok {
			t.Errorf("event %d: a flipped bit went unnoticed", n)
		}
	}
}

// The vector is the one of the Standard Webhooks specification's libraries.
func TestVerifyWebhook(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	now := time.Unix(1614265330, 0)
	body := []byte(`{"test": 2432232314}`)
	header := func(change func(http.Header)) http.Header {
		h := http.Header{}
		h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
		h.Set("webhook-timestamp", "1614265330")
		h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
		change(h)
		return h
	}
	tests := []struct {
		name   string
		change func(http.Header)
		now    time.Time
		ok     bool
	}{
		{"as sent", func(http.Header) {}, now, true},
		{"one of two", func(h http.Header) { h.Set("webhook-signature", "v1,AAAA "+h.Get("webhook-signature")) }, now, true},
		{"other id", func(h http.Header) { h.Set("webhook-id", "msg_other") }, now, false},
		{"no id", func(h http.Header) { h.Del("webhook-id") }, now, false},
		{"other version", func(h http.Header) { h.Set("webhook-signature", "v2"+h.Get("webhook-signature")[2:]) }, now, false},
		{"empty signature", func(h http.Header) { h.Set("webhook-signature", "v1,") }, now, false},
		{"no time", func(h http.Header) { h.Del("webhook-timestamp") }, now, false},
		{"old", func(http.Header) {}, now.Add(tolerance + time.Second), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := VerifyWebhook(secret, header(tt.change), body, tt.now); (err == nil) != tt.ok {
				t.Errorf("got %v, want ok %v", err, tt.ok)
			}
		})
	}
}

// Driver and sink understand each other: every event arrives once, intact, and
// refusals are not taken for acks.
func TestDriveIntoSink(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	sink, err := NewSink(func(r Request) int {
		n, ok := Intact(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if !ok {
			t.Errorf("event %d is not intact", n)
		}
		seen[n]++
		if n%10 == 0 {
			return http.StatusServiceUnavailable
		}
		return http.StatusAccepted
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()

	for name, rate := range map[string]float64{"closed": 0, "paced": 10_000} {
		clear(seen)
		res := Drive(Plan{Addr: sink.Addr, Path: "/", Secret: "s", First: 5, Conns: 4, Rate: rate, For: time.Minute, Most: 200})
		if res.Next != 205 || len(res.Acked) != 180 || res.Refused != 20 || res.Failed != 0 || len(seen) != 200 {
			t.Errorf("%s: next %d, acked %d, refused %d, failed %d, seen %d",
				name, res.Next, len(res.Acked), res.Refused, res.Failed, len(seen))
		}
		for _, s := range res.Acked {
			if seen[s.Seq] != 1 || s.Acked.Before(s.Began) {
				t.Errorf("%s: event %d seen %d times, acked %s after it began", name, s.Seq, seen[s.Seq], s.Acked.Sub(s.Began))
			}
		}
	}
}

// Drain returns only when what a sender left behind has been read.
func TestDrainReadsWhatWasLeft(t *testing.T) {
	entered, release := make(chan bool, 1), make(chan bool)
	var read atomic.Bool
	sink, err := NewSink(func(Request) int {
		entered <- true
		<-release
		read.Store(true)
		return http.StatusOK
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()

	go func() {
		conn := NewConn(sink.Addr)
		conn.Do(NewSource("/", "s", "r").Request(1))
		conn.Close()
	}()
	<-entered
	early := make(chan bool)
	go func() {
		if err := sink.Drain(); err != nil {
			t.Error(err)
		}
		early <- !read.Load()
	}()
	close(release)
	if <-early {
		t.Error("drained with a request in the hands of the sink")
	}
}

// Stretch after stretch, no event is sent twice: the gateway would take it for
// a duplicate, and nobody would ever see it delivered.
func TestDriveNeverRepeatsANumber(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	sink, err := NewSink(func(r Request) int {
		n, _ := Seq(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen[n]++
		return http.StatusOK
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	next := 0
	for range 100 {
		next = Drive(Plan{Addr: sink.Addr, Path: "/", Secret: "s", First: next, Conns: 16, For: 2 * time.Millisecond}).Next
	}
	for n, times := range seen {
		if times > 1 || n >= next {
			t.Errorf("event %d of %d sent %d times", n, next, times)
		}
	}
}

func TestQuantile(t *testing.T) {
	var ds []time.Duration
	for i := 100; i > 0; i-- {
		ds = append(ds, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100, 0: 1} {
		if got := Quantile(ds, q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("of none: %d", got)
	}
}
