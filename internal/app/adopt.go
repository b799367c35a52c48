package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// first decides which configuration a node starts with, and under which number.
// A file that says something new becomes the newest revision. One that says what
// an earlier revision said has been left behind: others may run the newest by
// now, and this node does too. Where there are no others, the file is always
// right.
func (a *App) first(ctx context.Context) (*live, error) {
	latest, err := a.store.Latest(ctx)
	switch {
	case errors.Is(err, seawall.ErrNotFound):
		return a.newest(ctx)
	case err != nil:
		return nil, fmt.Errorf("newest configuration: %w", err)
	case config.SameRevision(latest.Text, a.Config.Text):
		return newLive(latest.Number, a.Config, a.Version), nil
	}
	if !a.shared {
		return a.newest(ctx)
	}
	earlier, err := a.earlier(ctx)
	if err != nil {
		return nil, err
	}
	if earlier == 0 {
		return a.newest(ctx)
	}
	l, err := a.read(latest)
	if err != nil {
		return nil, seawall.Errorf(seawall.ErrInvalid, "the file is revision %d of the configuration; the newest is %d, which cannot be run here: %w",
			earlier, latest.Number, err).WithHint("give this node the file and the variables that the others have")
	}
	a.Log.Warn("the file is an earlier configuration; the newest one is run",
		"file", earlier, "revision", latest.Number,
		"hint", "give this node the file that the others have; to go back to what it says, reload it while the gateway runs")
	return l, nil
}

// newest makes the file the newest revision.
func (a *App) newest(ctx context.Context) (*live, error) {
	r, err := a.store.AddRevision(ctx, a.Now(), "start", a.Config.Text)
	if err != nil {
		return nil, fmt.Errorf("keep the configuration: %w", err)
	}
	return newLive(r.Number, a.Config, a.Version), nil
}

// history bounds how far back an earlier revision is looked for.
const history = 1000

// earlier is the newest revision that says what the file says; 0 if none does.
func (a *App) earlier(ctx context.Context) (int64, error) {
	page := store.Page{Limit: 100}
	for range history / page.Limit {
		l, err := a.store.ListRevisions(ctx, page)
		if err != nil {
			return 0, fmt.Errorf("earlier configurations: %w", err)
		}
		for _, r := range l.Items {
			if config.SameRevision(r.Text, a.Config.Text) {
				return r.Number, nil
			}
		}
		if page.Cursor = l.Next; page.Cursor == "" {
			break
		}
	}
	return 0, nil
}

// read makes a revision ready to work by. What belongs to a node is this one's
// own.
func (a *App) read(r *seawall.Revision) (*live, error) {
	c, err := a.Parse(r.Text)
	if err != nil {
		return nil, err
	}
	own := *c
	own.Node = a.Config.Node
	return newLive(r.Number, &own, a.Version), nil
}

// adopt makes the newest revision the running one, whichever node it came from.
// If it cannot be run here, the running one stays and the node is not ready.
func (a *App) adopt(ctx context.Context) {
	if !a.reloading.TryLock() {
		return // it becomes the newest itself
	}
	defer a.reloading.Unlock()
	latest, err := a.store.Latest(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Warn("newest configuration not read", "error", err)
		}
		return
	}
	if latest.Number <= a.path.now().revision {
		a.behind.Store(nil)
		return
	}
	l, err := a.read(latest)
	if err != nil {
		now := &behind{latest.Number, err.Error()}
		if before := a.behind.Swap(now); before != nil && *before == *now {
			return // it has been said
		}
		a.Log.Error("the newest configuration cannot be run here: the running one stays, and this node is not ready",
			"revision", latest.Number, "by", latest.By, "error", err)
		return
	}
	a.behind.Store(nil)
	a.swap(l)
	a.Log.Info("configuration adopted", "revision", l.revision, "by", latest.By)
}

// swap makes a configuration the running one and returns the one before. What is
// in flight ends on that.
func (a *App) swap(next *live) *live {
	a.systems.Use(next.config)
	before := a.path.swap(next)
	a.waiting.forget()
	return before
}

// behind is a revision that all should run and this node cannot.
type behind struct {
	revision int64
	why      string
}

// Ready tells why no work should be brought here, though the store is well; nil
// if it may be.
func (g *gateway) Ready() error {
	if b := g.behind.Load(); b != nil {
		return seawall.Errorf(seawall.ErrUnavailable, "revision %d of the configuration cannot be run on this node; its log says why", b.revision)
	}
	return nil
}
