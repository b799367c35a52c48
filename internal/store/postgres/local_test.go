package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
	"github.com/seawall-dev/seawall/test/pgcluster"
)

// PostgreSQL calls a commit a success whose wait for the standby was ended by
// hand. It would be lost in a failover, so nobody may hear of it as durable.
func TestG1_WhatTheStandbyDidNotConfirmIsNotAcknowledged(t *testing.T) {
	primary := pgcluster.Start(t, pgcluster.Options{})
	s := open(t, primary.URL("postgres"), postgres.Options{})
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { standby.Close() })
	accept := func(id string) error {
		_, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), id, "{}")})
		return err
	}
	if err := accept("1"); err != nil {
		t.Fatal(err)
	}
	if err := standby.Kill(); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() { answer <- accept("2") }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ended := "0"; ended == "0"; { // it takes a moment until it waits
		select {
		case <-ctx.Done():
			t.Fatal("no commit waits for the standby")
		case <-tick.C:
		}
		if ended, err = primary.Exec("postgres", "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-answer; !errors.Is(err, seawall.ErrUnavailable) {
		t.Errorf("the sender was told %v", err)
	}
	if err := primary.Alone(); err != nil {
		t.Fatal(err)
	}
	if err := accept("3"); err != nil {
		t.Errorf("after that: %v", err)
	}
}
