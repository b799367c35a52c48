package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// watch prints a line each second until ctx ends.
func (r *run) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	began := time.Now()
	acked, delivered := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, a, _, d := r.history.Counts()
		fmt.Printf("%3ds  accepted %5d/s  delivered %5d/s  undelivered %6d  %s", int(time.Since(began).Seconds()+0.5),
			a-acked, d-delivered, r.history.Missing(), r.inside())
		acked, delivered = a, d
		for said := true; said; {
			select {
			case note := <-r.notes:
				fmt.Print("  ", note)
			default:
				said = false
			}
		}
		fmt.Println()
	}
}

// inside is how many lanes each node has, and for how long the oldest delivery
// has been due: read from the database, for the eye alone. The verdict does not
// ask it.
func (r *run) inside() string {
	out, err := r.pg.Exec("seawall", `
		SELECT 'due', coalesce(round(extract(epoch FROM now() - min(due))), 0) FROM delivery WHERE state = 0 AND due < now()
		UNION ALL SELECT node, count(*) FROM lane WHERE until > now() AND node <> '' GROUP BY node`)
	if err != nil {
		return "lanes ?"
	}
	of := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if name, n, ok := strings.Cut(line, "|"); ok {
			of[name] = n
		}
	}
	text := "lanes"
	for _, g := range r.fleet.Nodes {
		n := "0"
		for name, count := range of {
			// A node is called by its host, its process and something random.
			if strings.Contains(name, fmt.Sprintf("-%d-", g.PID())) {
				n = count
			}
		}
		text += " " + n
	}
	return fmt.Sprintf("%s  oldest due %ss", text, of["due"])
}
