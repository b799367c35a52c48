package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

func TestMain(m *testing.M) { rows.Main(m, (*testing.M).Run) }

// need skips a row that the machine has no means for.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("no %s on this machine: see .ci/tools", p)
		}
	}
}

// scene is a gateway between a sender and a destination.
type scene struct {
	t       *testing.T
	history *witness.History
	sink    *load.Sink
	setup   witness.Setup
	gateway *witness.Gateway
}

// open makes a scene; the gateway is not started.
func open(t *testing.T, dir string, setup witness.Setup, decide func(witness.Received) int) *scene {
	t.Helper()
	bin, err := rows.Build()
	if err != nil {
		t.Fatal(err)
	}
	if setup.Slots == 0 {
		setup.Slots = 64
	}
	s := &scene{t: t, history: witness.NewHistory(setup.Slots)}
	if s.sink, err = witness.NewSink(s.history, func() int { return s.history.Kills }, decide); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sink.Close)
	setup.Sink = s.sink.Addr
	s.setup = setup
	if s.gateway, err = witness.NewGateway(bin, dir, setup); err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts the gateway; what is left of it at the end of the test is killed.
func (s *scene) start() {
	s.t.Helper()
	if err := s.gateway.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.gateway.Discard() })
}

// ready waits until it listens.
func (s *scene) ready() {
	s.t.Helper()
	until(s.t, 20*time.Second, "the gateway listens", func() bool {
		c, err := net.Dial("tcp", s.gateway.Addr)
		if err != nil {
			if err := s.gateway.Ended(0); !errors.Is(err, witness.ErrStays) {
				s.fatal("it ended with %v", err)
			}
			return false
		}
		return c.Close() == nil
	})
}

// fatal fails with what the gateway printed.
func (s *scene) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s; %s", fmt.Sprintf(format, args...), s.gateway.Said())
}

// judge fails for every broken promise.
func (s *scene) judge() {
	s.t.Helper()
	vs := witness.Check(s.history)
	for _, v := range vs[:min(len(vs), 10)] {
		s.t.Errorf("%s: %s", v.Guarantee, v.What)
	}
	if len(vs) > 10 {
		s.t.Errorf("and %d more", len(vs)-10)
	}
}

// settle lets a sender end and everything be delivered, and judges.
func (s *scene) settle(sender *witness.Sender, within time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	if err := sender.Settle(ctx); err != nil {
		s.fatal("%v", err)
	}
	s.stop()
}

// delivered waits until everything acknowledged is delivered, and judges.
func (s *scene) delivered(within time.Duration) {
	s.t.Helper()
	until(s.t, within, "everything acknowledged is delivered", func() bool { return s.history.Missing() == 0 })
	s.stop()
}

func (s *scene) stop() {
	s.t.Helper()
	if err := s.gateway.Stop(); err != nil {
		s.t.Error(err)
	}
	s.judge()
}

// until waits for a condition; the deadline is the test's verdict.
func until(t *testing.T, within time.Duration, what string, is func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		witness.Pause(t.Context(), 10*time.Millisecond)
	}
	return time.Since(began)
}
