package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

func TestStoreAddresses(t *testing.T) {
	const odd = `p@ss:/w?rd&1+1%`
	opt := Options{
		Getenv: vars{"PW": odd, "DB": "db.internal:5433", "URL": "postgres://u:pw-of-url@h/d"}.get,
		ReadFile: func(path string) ([]byte, error) {
			if path != "store-url" {
				return nil, errors.New("no such file")
			}
			return []byte("postgresql://u:pw-of-file@h/d\n"), nil
		},
	}
	const escaped = "p%40ss:%2Fw%3Frd%261%2B1%25"
	for _, c := range []struct {
		text  string
		want  Store
		shown string
	}{
		{"sqlite:x.db", "sqlite:x.db", "sqlite:x.db"},
		{"postgres://u@h/d", "postgres://u@h/d", "postgres://u@h/d"},
		{"postgres://u:${PW}@${DB}/d?sslmode=disable", "postgres://u:" + escaped + "@db.internal:5433/d?sslmode=disable", "postgres://u@db.internal:5433/d?sslmode=disable"},
		{"postgres://u@h/d?password=${PW}&user=v", "postgres://u@h/d?password=" + escaped + "&user=v", "postgres://u@h/d?user=v"},
		{"${URL}", "postgres://u:pw-of-url@h/d", "postgres://u@h/d"},
		{"file:store-url", "postgresql://u:pw-of-file@h/d", "postgresql://u@h/d"},
		{"postgres://u@a:5432,b:5432/d?target_session_attrs=read-write", "postgres://u@a:5432,b:5432/d?target_session_attrs=read-write", "postgres://u@a:5432,b:5432/d?target_session_attrs=read-write"},
		{"postgres:///d?host=/run/postgresql", "postgres:///d?host=/run/postgresql", "postgres:///d?host=%2Frun%2Fpostgresql"},
	} {
		got, err := ParseStore(c.text, "--to", opt)
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v", c.text, string(got), err)
		}
		if got.String() != c.shown {
			t.Errorf("%s is shown as %s, want %s", c.text, got, c.shown)
		}
	}
}

// A password is in the file only as a reference, and in no message or answer.
func TestStorePasswordsAreHidden(t *testing.T) {
	const canary = "canary-in-the-mine"
	for _, text := range []string{
		"postgres://u:" + canary + "@h/d",
		"postgres://u@h/d?sslmode=disable&password=" + canary,
		"postgres://u:" + canary + "@h:port/d",
		"mysql://u:" + canary + "@h/d",
		"password=" + canary,
	} {
		for _, env := range []bool{false, true} {
			file, opt := "store: "+text, Options{Getenv: vars{}.get}
			if env {
				file, opt.Getenv = "{}", vars{"SEAWALL_STORE": text}.get
			}
			c, err := Parse([]byte(file), "x", opt)
			shown := ""
			if err == nil {
				shown = fmt.Sprintf("%v %+v %#v %s", c.Node, c.Node, c.Node, c.Node.Store)
				b, jerr := json.Marshal(c.Node)
				if jerr != nil {
					t.Fatal(jerr)
				}
				shown += string(b)
			} else {
				shown = err.Error() + seawall.Hint(err)
			}
			if strings.Contains(shown, canary) {
				t.Errorf("%s shows its password: %s", text, shown)
			}
			if !env && err == nil {
				t.Errorf("%s stands in the file", text)
			}
			if env && err != nil && strings.HasPrefix(text, "postgres") && !strings.Contains(text, ":port") {
				t.Errorf("%s in the environment: %v", text, err)
			}
		}
	}
}

// Commands that only look for the gateway need not know how to reach its store.
func TestAdminAddressNeedsNoStore(t *testing.T) {
	opt := Options{
		Getenv: vars{}.get,
		ReadFile: func(string) ([]byte, error) {
			return []byte("store: \"postgres://u:${UNSET}@h/d\"\nadmin: { listen: ':7' }"), nil
		},
	}
	if addr, err := LoadAdmin("x", opt); err != nil || addr != ":7" {
		t.Errorf("%q, %v", addr, err)
	}
	if _, err := LoadNode("x", opt); err == nil {
		t.Error("the store's password was not missed")
	}
}
