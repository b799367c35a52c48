package seal_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/seal"
	"github.com/seawall-dev/seawall/internal/store"
)

func key(id string, b byte) seal.Key {
	k := seal.Key{ID: id}
	for i := range k.Bytes {
		k.Bytes[i] = b
	}
	return k
}

func TestSealed(t *testing.T) {
	box := seal.New([]seal.Key{key("new", 2), key("old", 1)})
	id, data, err := box.Seal("oauth2/crm", []byte("refresh-me"))
	if err != nil || id != "new" || bytes.Contains(data, []byte("refresh-me")) {
		t.Fatalf("sealed with %q as %q: %v", id, data, err)
	}
	_, again, _ := box.Seal("oauth2/crm", []byte("refresh-me"))
	if bytes.Equal(data, again) {
		t.Error("the same secret looks the same twice")
	}
	plain, err := box.Open("oauth2/crm", "new", data)
	if err != nil || string(plain) != "refresh-me" {
		t.Errorf("opened %q: %v", plain, err)
	}

	bent := bytes.Clone(data)
	bent[len(bent)/2] ^= 1
	for what, try := range map[string]func() error{
		"another name":       func() error { _, err := box.Open("oauth2/erp", "new", data); return err },
		"another key's name": func() error { _, err := box.Open("oauth2/crm", "old", data); return err },
		"a changed byte":     func() error { _, err := box.Open("oauth2/crm", "new", bent); return err },
		"too short":          func() error { _, err := box.Open("oauth2/crm", "new", data[:5]); return err },
		"an unknown key":     func() error { _, err := box.Open("oauth2/crm", "gone", data); return err },
		"other bytes": func() error {
			_, err := seal.New([]seal.Key{key("new", 3)}).Open("oauth2/crm", "new", data)
			return err
		},
		"no key": func() error { _, _, err := seal.New(nil).Seal("oauth2/crm", nil); return err },
	} {
		if err := try(); err == nil {
			t.Errorf("%s: opened", what)
		} else if strings.Contains(err.Error(), "refresh-me") {
			t.Errorf("%s: the error holds the secret: %v", what, err)
		}
	}
}

type vault struct {
	rows  map[string]store.Sealed
	races int // so many writes find that somebody was faster
}

func (v *vault) ListSealed(context.Context) (out []store.Sealed, _ error) {
	for _, s := range v.rows {
		out = append(out, s)
	}
	return out, nil
}

func (v *vault) PutSealed(_ context.Context, s store.Sealed) (bool, error) {
	if v.races > 0 || v.rows[s.Name].Version != s.Version {
		v.races--
		return false, nil
	}
	s.Version++
	v.rows[s.Name] = s
	return true, nil
}

func TestRotateLeavesNothingUnderAnOldKey(t *testing.T) {
	old := seal.New([]seal.Key{key("old", 1)})
	v := &vault{rows: map[string]store.Sealed{}, races: 1}
	for _, name := range []string{"oauth2/a", "oauth2/b", "oauth2/c"} {
		id, data, _ := old.Seal(name, []byte("of "+name))
		v.rows[name] = store.Sealed{Name: name, Key: id, Data: data, Version: 4}
	}
	box := seal.New([]seal.Key{key("new", 2), key("old", 1)})
	n, err := seal.Rotate(t.Context(), v, box, time.Now)
	if err != nil || n != 3 {
		t.Fatalf("rotated %d: %v", n, err)
	}
	only := seal.New([]seal.Key{key("new", 2)})
	for name, s := range v.rows {
		if plain, err := only.Open(name, s.Key, s.Data); err != nil || string(plain) != "of "+name {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	if n, err := seal.Rotate(t.Context(), v, box, time.Now); n != 0 || err != nil {
		t.Errorf("a second time: %d, %v", n, err)
	}
	if _, err := seal.Rotate(t.Context(), v, seal.New([]seal.Key{key("newest", 3)}), time.Now); err == nil {
		t.Error("rotated without the key that opens")
	}
}
