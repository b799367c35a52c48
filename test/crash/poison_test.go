package crash

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/witness"
)

// G7: one event kills the gateway each time that it is sent: here from outside, at
// the moment when its request has arrived. The third death ends that: it is dead,
// for poison, which a person can see; all others are delivered. When the cause is
// gone it is replayed, and delivered too.
func TestG7_WhatKillsTheProcessIsQuarantinedAfterTheThirdTime(t *testing.T) {
	const (
		events, poison = 300, 157
		deaths         = 3
	)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	bin, err := build(dir)
	must(t, err)
	h := witness.NewHistory(slots)
	var life atomic.Int64
	var cured atomic.Bool
	arrived := make(chan chan struct{}) // the poison, and what lets its request go
	sink, err := witness.NewSink(h, func() int { return int(life.Load()) }, func(got witness.Received) int {
		witness.Pause(ctx, 20*time.Millisecond)
		if got.Seq != poison || cured.Load() {
			return http.StatusOK
		}
		let := make(chan struct{})
		select {
		case arrived <- let:
			<-let
		case <-ctx.Done():
		}
		return http.StatusServiceUnavailable // nobody is there to hear it
	})
	must(t, err)
	defer sink.Close()
	g, err := witness.NewGateway(bin, dir, witness.Setup{Sink: sink.Addr, Slots: 16})
	must(t, err)
	must(t, g.Start())
	defer g.Discard()
	s := witness.NewSender(ctx, h, 2*events, nil, g.Addr)
	for seq := range events {
		s.Queue(seq)
	}

	killed := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for dead := (*delivery)(nil); dead == nil; {
		select {
		case let := <-arrived:
			must(t, g.Kill(0))
			close(let)
			must(t, sink.Drain())
			killed++
			h.Kills++
			life.Add(1)
			if killed > deaths {
				t.Fatalf("it was sent again after %d deaths", deaths)
			}
			must(t, g.Start())
		case <-tick.C:
			if dead = deadLetter(ctx, t, g); dead == nil {
				continue
			}
			if dead.Reason != "poison" {
				t.Errorf("it is dead for %q", dead.Reason)
			}
			if killed != deaths {
				t.Errorf("quarantined after %d deaths, want %d", killed, deaths)
			}
			waitFor(ctx, t, g, "all others", func() bool { return s.Open() == 0 && h.Missing() == 1 })
			cured.Store(true)
			replay(ctx, t, g, dead.ID)
		case <-ctx.Done():
			t.Fatalf("after %d deaths, nothing is quarantined, %d events undelivered; %s", killed, h.Missing(), g.Said())
		}
	}
	waitFor(ctx, t, g, "the replayed one", func() bool { return h.Missing() == 0 })
	s.Close()
	must(t, g.Stop())
	for _, v := range witness.Check(h) {
		t.Errorf("%s: %s", v.Guarantee, v.What)
	}
}

type delivery struct{ ID, Reason string }

// deadLetter is the first dead delivery; nil if there is none, or nobody answers.
func deadLetter(ctx context.Context, t *testing.T, g *witness.Gateway) *delivery {
	t.Helper()
	var page struct{ Data []delivery }
	if err := g.Ask(ctx, "/deliveries?state=dead", &page); err != nil || len(page.Data) == 0 {
		return nil
	}
	if len(page.Data) > 1 {
		t.Errorf("%d deliveries are dead, and one is poison", len(page.Data))
	}
	return &page.Data[0]
}

func replay(ctx context.Context, t *testing.T, g *witness.Gateway, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+g.Admin+"/api/v1/deliveries/"+id+"/replay", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("replay: %s", resp.Status)
	}
}

func waitFor(ctx context.Context, t *testing.T, g *witness.Gateway, what string, is func() bool) {
	t.Helper()
	for !is() {
		if ctx.Err() != nil {
			t.Fatalf("not delivered in time: %s; %s", what, g.Said())
		}
		witness.Pause(ctx, 20*time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
