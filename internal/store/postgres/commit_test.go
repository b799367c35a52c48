package postgres_test

import (
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/store/postgres"
	"github.com/seawall-dev/seawall/seawall"
)

// A transaction that fails in its last moment, at the commit, was never
// acknowledged, and leaves no key by which the event would count as known.
func TestG1_WhatFailsAtTheCommitIsNotAcknowledged(t *testing.T) {
	url := database(t)
	s := open(t, url, postgres.Options{})
	c := connect(t, url)
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused at the commit'; END $$`)
	exec(`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	if out, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "1", "{}")}); err == nil {
		t.Fatalf("acknowledged as %+v", out)
	}
	exec(`DROP TRIGGER refuse ON event`)
	out, err := s.Accept(t.Context(), []store.Acceptance{newEvent(time.Now(), "1", "{}")})
	if err != nil || out[0].Verdict != seawall.New {
		t.Fatalf("sent again: %+v, %v", out, err)
	}
	if _, err := s.Event(t.Context(), out[0].Event); err != nil {
		t.Error(err)
	}
}
