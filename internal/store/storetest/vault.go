package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

var vaultTests = []test{
	{"TestSecretsAreChangedByWhoKnowsThem", testSealed},
	{"TestOneNodeRenewsASecretAtATime", testHold},
}

func testSealed(t *testing.T, s *suite) {
	const name = "oauth2/crm"
	if _, err := s.Store.Sealed(t.Context(), name); !errors.Is(err, seawall.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	put := func(v store.Sealed, want bool) {
		t.Helper()
		if done, err := s.Store.PutSealed(t.Context(), v); err != nil || done != want {
			t.Errorf("put %+v: %v, %v, want %v", v, done, err, want)
		}
	}
	now := s.Clock.Now()
	first := store.Sealed{Name: name, Key: "k1", Data: []byte{1, 0, 255}, At: now}
	put(store.Sealed{Name: name, Key: "k1", Data: []byte{9}, At: now, Version: 3}, false)
	put(first, true)
	put(first, true) // whose answer was lost
	put(store.Sealed{Name: name, Key: "k1", Data: []byte{2}, At: now}, false)
	second := store.Sealed{Name: name, Key: "k2", Data: []byte{2}, At: now.Add(time.Second), Version: 1}
	put(second, true)
	put(store.Sealed{Name: name, Key: "k2", Data: []byte{3}, At: now, Version: 1}, false)
	put(store.Sealed{Name: "another", Key: "k2", Data: []byte{4}, At: now}, true)
	s.Store = s.Crash(t)
	got, err := s.Store.Sealed(t.Context(), name)
	must(t, err)
	if got.Version != 2 || got.Key != "k2" || string(got.Data) != string([]byte{2}) || !got.At.Equal(second.At) {
		t.Errorf("got %+v", got)
	}
	all, err := s.Store.ListSealed(t.Context())
	must(t, err)
	if len(all) != 2 || all[0].Name != "another" || all[1].Name != name {
		t.Errorf("listed %+v", all)
	}
}

func testHold(t *testing.T, s *suite) {
	hold := func(node string, ttl time.Duration, want bool) {
		t.Helper()
		if held, err := s.Store.Hold(t.Context(), "oauth2/crm", node, ttl); err != nil || held != want {
			t.Errorf("%s for %s: %v, %v, want %v", node, ttl, held, err, want)
		}
	}
	hold("n1", ttl, true)
	hold("n2", ttl, false)
	s.Clock.Advance(ttl - time.Second)
	hold("n1", ttl, true)
	s.Clock.Advance(ttl - time.Second)
	hold("n2", ttl, false)
	s.Clock.Advance(time.Second)
	hold("n2", ttl, true)
	hold("n1", 0, false) // not its own any more
	hold("n1", ttl, false)
	hold("n2", 0, false)
	hold("n1", ttl, true)
	if held, err := s.Store.Hold(t.Context(), "another", "n2", ttl); err != nil || !held {
		t.Errorf("another one: %v, %v", held, err)
	}
}
