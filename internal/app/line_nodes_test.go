package app

import (
	"testing"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

func TestG5_OnTwoNodes(t *testing.T) {
	orderTests(t, func(t *testing.T) *counter { return inLines(t, pgcluster.Shared(t), 2) })
}
