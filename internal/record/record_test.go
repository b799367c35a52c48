package record

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// asked is a system that takes a second to answer, and counts.
type asked struct{ atomic.Int32 }

func (a *asked) ask(ctx context.Context) *Record {
	n := a.Add(1)
	began := time.Now()
	select {
	case <-ctx.Done():
		return &Record{Began: began, Err: ctx.Err(), Reply: send.Reply{Canceled: true}}
	case <-time.After(time.Second):
	}
	return &Record{Began: began, JSON: []byte(fmt.Sprint(n)), Reply: send.Reply{Response: &seawall.Response{Body: []byte("0123456789")}}}
}

func TestABurstIsOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a asked
		r := New(Options{})
		var others atomic.Int32
		for range 10 {
			go func() {
				of, shared, err := r.Get(t.Context(), "user/7", time.Now(), a.ask)
				if err != nil || string(of.JSON) != "1" {
					t.Errorf("%+v, %v", of, err)
				}
				if shared {
					others.Add(1)
				}
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if a.Load() != 1 || others.Load() != 9 {
			t.Errorf("%d requests, %d were served by another's", a.Load(), others.Load())
		}
	})
}

// What was asked for before an event came may not show what the event tells of.
func TestAnEarlierRecordDoesNotServeALaterEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a asked
		r := New(Options{})
		go r.Get(t.Context(), "k", time.Now(), a.ask)
		synctest.Wait()
		time.Sleep(time.Millisecond)
		since := time.Now() // the request is under way
		of, _, err := r.Get(t.Context(), "k", since, a.ask)
		if err != nil || of.Began.Before(since) || a.Load() != 2 {
			t.Errorf("%+v of %d, %v", of, a.Load(), err)
		}
		if of := r.Kept("k", since); of == nil || string(of.JSON) != "2" {
			t.Errorf("kept: %+v", of)
		}
		if r.Kept("k", time.Now()) != nil {
			t.Error("a record serves what came after it")
		}
	})
}

func TestNothingIsKeptBeyondItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a asked
		r := New(Options{Entries: 3, Bytes: 25})
		start := time.Now()
		for n := range 5 {
			r.Get(t.Context(), fmt.Sprint(n), start, a.ask)
		}
		r.mu.Lock()
		if len(r.kept) != 2 || r.bytes != 20 {
			t.Errorf("%d records of %d bytes", len(r.kept), r.bytes)
		}
		r.mu.Unlock()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.kept) != 0 || r.bytes != 0 || r.ages != nil || r.sweeps {
			t.Errorf("%d records, %d bytes, %d ages", len(r.kept), r.bytes, len(r.ages))
		}
	})
}

// A failure is that of all who waited for it, and of nobody else.
func TestAFailureIsSharedAndNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		fails := func(context.Context) *Record {
			n.Add(1)
			began := time.Now()
			time.Sleep(time.Second)
			return &Record{Began: began, Err: errors.New("HTTP 500")}
		}
		r := New(Options{})
		for range 3 {
			go r.Get(t.Context(), "k", time.Now(), fails)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if n.Load() != 1 {
			t.Errorf("%d requests", n.Load())
		}
		if of, shared, _ := r.Get(t.Context(), "k", time.Now(), fails); shared || of.Err == nil || n.Load() != 2 {
			t.Errorf("%+v, of %d", of, n.Load())
		}
	})
}

// Who waits goes on by itself where the one that asked is stopped.
func TestOneThatIsCutOffFailsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a asked
		r := New(Options{})
		first, stop := context.WithCancel(t.Context())
		go r.Get(first, "k", time.Now(), a.ask)
		synctest.Wait()
		done := make(chan *Record, 1)
		go func() {
			of, _, _ := r.Get(t.Context(), "k", time.Now(), a.ask)
			done <- of
		}()
		synctest.Wait()
		stop()
		if of := <-done; of == nil || of.Err != nil {
			t.Errorf("%+v", of)
		}
		late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go r.Get(t.Context(), "other", time.Now(), a.ask)
		synctest.Wait()
		if _, _, err := r.Get(late, "other", time.Now(), a.ask); err == nil {
			t.Error("one that waits no longer got something")
		}
		time.Sleep(2 * time.Second)
	})
}
