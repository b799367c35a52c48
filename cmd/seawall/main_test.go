package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// The stories in test/scripts run this program as the command "seawall".
func TestMain(m *testing.M) {
	testscript.Main(withCluster{m}, map[string]func(){"seawall": main})
}

// withCluster ends the PostgreSQL of the stories with them.
type withCluster struct{ *testing.M }

func (m withCluster) Run() int { return pgcluster.Main(m.M) }

func fixed() time.Time { return time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
