package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
	"github.com/seawall-dev/seawall/test/witness"
)

const migrations = "../../internal/store/postgres/migrations"

// Row 17, upgrade: the nodes are replaced one by one, by a program with a later
// schema and back again by the one before. Each stops in order, so no request
// that it took fails, nothing is lost, and nothing is repeated.
//
// There is no later release yet. It is this program with one more migration,
// which does what a harmless one does: a column and a table more.
func TestG10_RollingUpgradeAndBack(t *testing.T) {
	now, err := rows.Build()
	must(t, err)
	later := buildLater(t)
	c := pgcluster.Start(t, pgcluster.Options{InMemory: true})
	url := database(t, c)
	s := open(t, stage{store: func(int) string { return url }})
	s.send(rate(), 5*time.Minute)
	s.shared()
	before := schema(t, c)
	for round := range rows.Times(1, 5) {
		for _, binary := range []string{later, now} {
			for _, g := range s.fleet.Nodes {
				if err := g.Stop(); err != nil {
					s.fatal("%v", err)
				}
				g.Binary = binary
				must(t, g.Start())
				ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
				if err := g.Ready(ctx); err != nil {
					s.fatal("round %d: %v", round, err)
				}
				cancel()
				s.flowing(time.Now(), takeoverWithin)
			}
			if n := schema(t, c); n != before+1 {
				t.Errorf("the schema is at %d, want %d", n, before+1)
			}
		}
	}
	s.settle()
	if n := s.history.Repeated(); n > 0 {
		t.Errorf("%d deliveries repeated", n)
	}
	for status, n := range s.answers.of {
		if status != 0 && status/100 != 2 { // a node that is down takes no connections
			t.Errorf("%d requests answered %d", n, status)
		}
	}
}

// schema is the number of the last migration of the database.
func schema(t *testing.T, c *pgcluster.Cluster) int {
	t.Helper()
	text, err := c.Exec("seawall", "SELECT max(version_id) FROM goose_db_version")
	must(t, err)
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// buildLater builds the program with one migration more.
func buildLater(t *testing.T) (binary string) {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(migrations + "/*.sql")
	must(t, err)
	newest := 0
	for _, f := range files {
		digits, _, _ := strings.Cut(filepath.Base(f), "_")
		n, err := strconv.Atoi(digits)
		must(t, err)
		newest = max(newest, n)
	}
	added := filepath.Join(dir, "later.sql")
	must(t, os.WriteFile(added, []byte("-- +goose Up\nALTER TABLE event ADD COLUMN later text;\nCREATE TABLE later (n bigint PRIMARY KEY);\n"), 0o600))
	place, err := filepath.Abs(filepath.Join(migrations, fmt.Sprintf("%05d_later.sql", newest+1)))
	must(t, err)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {place: added}})
	must(t, err)
	file := filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(file, overlay, 0o600))
	binary, err = witness.Build(dir, "-overlay", file)
	must(t, err)
	return binary
}
