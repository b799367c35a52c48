package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Fleet is several gateways that share the work of one store.
type Fleet struct {
	History *History
	Nodes   []*Gateway
	Setups  []Setup // of each
}

// NewFleet makes n gateways in directories of their own below dir. store is the
// URL by which each reaches the store they share.
func NewFleet(binary, dir string, n int, store func(node int) string, setup Setup, h *History) (*Fleet, error) {
	f := &Fleet{History: h}
	h.Nodes, h.Slots = n, max(1, setup.Queues)*setup.Slots
	for i := range n {
		own := filepath.Join(dir, fmt.Sprintf("node%d", i))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nil, err
		}
		setup.Store = store(i)
		g, err := NewGateway(binary, own, setup)
		if err != nil {
			return nil, err
		}
		f.Nodes, f.Setups = append(f.Nodes, g), append(f.Setups, setup)
	}
	return f, nil
}

// Addrs are where the nodes take events.
func (f *Fleet) Addrs() (addrs []string) {
	for _, g := range f.Nodes {
		addrs = append(addrs, g.Addr)
	}
	return addrs
}

// Start starts every node and waits until all are ready.
func (f *Fleet) Start(ctx context.Context) error {
	for _, g := range f.Nodes {
		if err := g.Start(); err != nil {
			return err
		}
	}
	for _, g := range f.Nodes {
		if err := g.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Kill is SIGKILL to one node; it does not come back by itself.
func (f *Fleet) Kill(i int) error {
	defer f.History.Begin(Fault{What: fmt.Sprintf("node %d was killed", i)})()
	return f.Nodes[i].Kill(0)
}

// Pause stops a node where it is for some time.
func (f *Fleet) Pause(ctx context.Context, i int, d time.Duration) error {
	defer f.History.Begin(Fault{What: fmt.Sprintf("node %d was paused for %s", i, d), Freezes: true})()
	if err := f.Nodes[i].Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	Pause(ctx, d)
	return f.Nodes[i].Signal(syscall.SIGCONT)
}

// Stop ends all nodes in order.
func (f *Fleet) Stop() error {
	var errs []error
	for _, g := range f.Nodes {
		errs = append(errs, g.Stop())
	}
	return errors.Join(errs...)
}

// Discard ends whatever runs.
func (f *Fleet) Discard() {
	for _, g := range f.Nodes {
		g.Discard()
	}
}

// Said is the end of what the nodes printed.
func (f *Fleet) Said() (text string) {
	for i, g := range f.Nodes {
		text += fmt.Sprintf("\nnode %d: %s", i, g.Said())
	}
	return text
}

// Ready waits until a gateway that was started says that it is ready.
func (g *Gateway) Ready(ctx context.Context) error {
	for {
		select {
		case <-g.done:
			return fmt.Errorf("the gateway ended before it was ready: %s", g.Said())
		case <-ctx.Done():
			return fmt.Errorf("the gateway is not ready: %w: %s", ctx.Err(), g.Said())
		case <-time.After(20 * time.Millisecond):
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}
