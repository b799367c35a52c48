package nodes

import (
	"testing"

	"github.com/seawall-dev/seawall/test/pgcluster"
	"github.com/seawall-dev/seawall/test/rows"
)

func TestMain(m *testing.M) { rows.Main(m, pgcluster.Main) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
