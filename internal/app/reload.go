package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// Reload reads the configuration file again and, if it is valid and loses no
// delivery, works by it from then on. What is in flight ends on the old one; an
// error changes nothing. With drop, the unfinished deliveries of destinations
// that are gone are canceled.
func (a *App) Reload(ctx context.Context, by string, drop bool) (seawall.Revision, []string, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	none := seawall.Revision{}
	c, err := a.Load()
	if err != nil {
		return none, nil, err
	}
	gone, err := a.orphans(ctx, c)
	if err != nil {
		return none, nil, err
	}
	if kept := gone.without(c.Drop); len(kept) > 0 && !drop {
		return none, nil, kept.refusal()
	}
	r, err := a.revise(ctx, by, c)
	if err != nil {
		return none, nil, fmt.Errorf("keep the configuration: %w", err)
	}
	before := a.swap(newLive(r.Number, c, a.Version))
	a.behind.Store(nil)
	a.hear(store.Signal{})
	a.store.Tell(store.Signal{}) // the other nodes adopt it
	a.Log.Info("configuration reloaded", "revision", r.Number, "by", by)

	did := config.Changes(before.config, c)
	did["revision"] = strconv.FormatInt(r.Number, 10)
	if drop {
		did["drop"] = "yes"
	}
	if err := a.store.Record(ctx, seawall.Action{At: a.Now(), By: by, What: "config.reload", Detail: did}); err != nil {
		return none, nil, fmt.Errorf("the configuration is in force, but who reloaded it is not recorded: %w", err)
	}
	warnings := slices.Clone(c.Warnings)
	if before.config.Node != c.Node {
		warnings = append(warnings, "store, listen, internal, admin and log belong to the process: they change at its next start")
	}
	for _, name := range a.unbound(c) {
		warnings = append(warnings, fmt.Sprintf("systems.%s.proxy: listeners are opened as the process starts: this one changes at its next start", name))
	}
	if len(gone) > 0 {
		n, err := a.drop(ctx, gone, by)
		if err != nil {
			return none, nil, fmt.Errorf("the configuration is in force, but dropping deliveries stopped after %d: %w", n, err)
		}
		warnings = append(warnings, fmt.Sprintf("%d unfinished deliveries were canceled with their destinations", n))
	}
	return r, warnings, nil
}

// revise makes a configuration the newest revision, unless that says the same.
func (a *App) revise(ctx context.Context, by string, c *config.Config) (seawall.Revision, error) {
	latest, err := a.store.Latest(ctx)
	switch {
	case err == nil && config.SameRevision(latest.Text, c.Text):
		return *latest, nil
	case err != nil && !errors.Is(err, seawall.ErrNotFound):
		return seawall.Revision{}, err
	}
	return a.store.AddRevision(ctx, a.Now(), by, c.Text)
}

// orphans are destinations with unfinished deliveries that a configuration does
// not know any more.
type orphans []store.PendingQueue

func (a *App) orphans(ctx context.Context, c *config.Config) (orphans, error) {
	pending, err := a.store.Pending(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, d := range slices.Concat(c.Destinations, calls(c)) {
		known[d.Name], known[d.RenamedFrom] = true, true
	}
	var gone orphans
	for _, p := range pending {
		if !known[p.Destination] && p.Count > 0 {
			gone = append(gone, p)
		}
	}
	return gone, nil
}

// without leaves out those that the file says to drop.
func (os orphans) without(names []string) orphans {
	var kept orphans
	for _, o := range os {
		dropped := false
		for _, n := range names {
			dropped = dropped || n == o.Destination
		}
		if !dropped {
			kept = append(kept, o)
		}
	}
	return kept
}

func (os orphans) refusal() error {
	said := make([]string, len(os))
	for i, o := range os {
		said[i] = fmt.Sprintf("%q (%d)", o.Destination, o.Count)
		if system, calls := strings.CutPrefix(o.Destination, seawall.CallsTo("")); calls {
			said[i] = fmt.Sprintf("the system %q (%d calls)", system, o.Count)
		}
	}
	first := strings.TrimPrefix(os[0].Destination, seawall.CallsTo(""))
	return seawall.Errorf(seawall.ErrConflict,
		"the new configuration leaves out destinations that have unfinished deliveries: %s", strings.Join(said, ", ")).
		WithHint("renamed it? write renamed_from: %s on the new one. Give the deliveries up? write %s: { drop: true }, or reload with drop",
			first, first)
}

// dropChunk is how many deliveries are canceled in one transaction.
const dropChunk = 500

// drop cancels what waits for destinations that are gone.
func (a *App) drop(ctx context.Context, gone orphans, by string) (n int, err error) {
	for _, o := range gone {
		page := store.Page{Limit: dropChunk}
		for {
			l, err := a.store.ListDeliveries(ctx, store.DeliveryFilter{Destination: o.Destination}, page)
			if err != nil {
				return n, err
			}
			var ids []seawall.DeliveryID
			for _, d := range l.Items {
				if !d.State.Final() {
					ids = append(ids, d.ID)
				}
			}
			if len(ids) > 0 {
				done, err := a.store.Cancel(ctx, ids, "destination dropped from the configuration",
					seawall.Action{At: a.Now(), By: by, What: "destination.drop", On: o.Destination})
				n += len(done)
				if err != nil {
					return n, err
				}
			}
			if page.Cursor = l.Next; page.Cursor == "" {
				break
			}
		}
	}
	return n, nil
}
