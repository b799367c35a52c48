package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/metrics"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

func TestMetrics_Systems(t *testing.T) {
	m := metrics.New("dev")
	m.WatchSystems(func() []system.Status {
		return []system.Status{
			{Name: "crm", State: store.SystemState{Breaker: seawall.BreakerOpen, Hold: epoch.Add(90 * time.Second)}, Waiting: 3,
				Flight: 2, Share: 4, Limit: config.Limit{Concurrency: 8}, Pace: 2.5},
			{Name: "mail", Off: true, State: store.SystemState{Hold: epoch.Add(-time.Hour)}},
		}
	}, func() time.Time { return epoch })
	text := scrape(t, m)
	wants(t, text,
		`seawall_system_breaker{state="open",system="crm"} 1`,
		`seawall_system_breaker{state="closed",system="crm"} 0`,
		`seawall_system_breaker{state="off",system="mail"} 1`,
		`seawall_system_waiting{system="crm"} 3`,
		`seawall_system_in_flight{system="crm"} 2`,
		`seawall_system_share{system="crm"} 4`,
		`seawall_system_pace{system="crm"} 2.5`,
		`seawall_system_hold_seconds{system="crm"} 90`,
		`seawall_system_hold_seconds{system="mail"} 0`,
	)
	for _, line := range []string{`seawall_system_pace{system="mail"}`, `seawall_system_share{system="mail"}`} {
		if strings.Contains(text, line) {
			t.Errorf("%s is there", line)
		}
	}
}
