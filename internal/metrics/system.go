package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seawall-dev/seawall/internal/system"
	"github.com/seawall-dev/seawall/seawall"
)

var (
	descBreaker = prometheus.NewDesc("seawall_system_breaker",
		"1 for the state that the breaker of a system is in: closed, open or half_open; off where it has none.", []string{"system", "state"}, nil)
	descSystemWaiting = prometheus.NewDesc("seawall_system_waiting",
		"Workers and calls on this node that wait for leave to ask a system.", []string{"system"}, nil)
	descFlight = prometheus.NewDesc("seawall_system_in_flight",
		"Requests of this node under way to a system that has a limit.", []string{"system"}, nil)
	descShare = prometheus.NewDesc("seawall_system_share",
		"This node's part of the requests that a system takes at a time.", []string{"system"}, nil)
	descPace = prometheus.NewDesc("seawall_system_pace",
		"Requests a second that this node allows itself since a system said that it is too fast; absent where it did not.", []string{"system"}, nil)
	descHold = prometheus.NewDesc("seawall_system_hold_seconds",
		"For how long a system asked to be left alone; 0 if it did not.", []string{"system"}, nil)
)

// WatchSystems adds how the outside systems stand. It is called once.
func (m *Metrics) WatchSystems(status func() []system.Status, now func() time.Time) {
	m.registry.MustRegister(&systems{status, now})
}

type systems struct {
	status func() []system.Status
	now    func() time.Time
}

func (s *systems) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descBreaker, descSystemWaiting, descFlight, descShare, descPace, descHold} {
		ch <- d
	}
}

func (s *systems) Collect(ch chan<- prometheus.Metric) {
	for _, y := range s.status() {
		state := y.State.Breaker.String()
		if y.Off {
			state = "off"
		}
		for _, name := range []string{seawall.BreakerClosed.String(), seawall.BreakerOpen.String(), seawall.BreakerHalfOpen.String(), "off"} {
			v := 0.0
			if name == state {
				v = 1
			}
			ch <- gauge(descBreaker, v, y.Name, name)
		}
		ch <- gauge(descSystemWaiting, float64(y.Waiting), y.Name)
		ch <- gauge(descHold, max(0, y.State.Hold.Sub(s.now()).Seconds()), y.Name)
		if y.Limit.Every > 0 || y.Limit.Concurrency > 0 {
			ch <- gauge(descFlight, float64(y.Flight), y.Name)
		}
		if y.Limit.Concurrency > 0 {
			ch <- gauge(descShare, float64(y.Share), y.Name)
		}
		if y.Pace > 0 {
			ch <- gauge(descPace, y.Pace, y.Name)
		}
	}
}
