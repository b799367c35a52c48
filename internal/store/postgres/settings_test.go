package postgres

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// PgBouncer refuses a connection that begins with a setting other than those
// which it keeps track of.
func TestConnectionsBeginWithNoSettingThatAPoolerRefuses(t *testing.T) {
	c, err := pgxpool.ParseConfig("postgres://seawall@h/seawall")
	if err != nil {
		t.Fatal(err)
	}
	configure(c, Options{})
	if got := slices.Sorted(maps.Keys(c.ConnConfig.RuntimeParams)); !slices.Equal(got, []string{"application_name", "timezone"}) {
		t.Errorf("begins with %s", got)
	}
}

func TestSettingsOfConnections(t *testing.T) {
	url := pgcluster.Shared(t)
	if strings.Contains(url, "?") {
		url += "&"
	} else {
		url += "?"
	}
	s, err := Open(t.Context(), url+"lock_timeout=7s", Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	want := maps.Clone(settings)
	want["lock_timeout"] = "7s" // as the address says
	for name, value := range want {
		var got string
		if err := s.pool.QueryRow(t.Context(), "SHOW "+name).Scan(&got); err != nil || got != value {
			t.Errorf("%s is %q, want %q: %v", name, got, value, err)
		}
	}
}
