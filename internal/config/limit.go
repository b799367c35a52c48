package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

func limit(v value) Limit {
	o := v.open("limit")
	l := Limit{Every: o.get("rate").rate(), Concurrency: o.get("concurrency").number(0, 1, 10_000)}
	usual := 1
	if l.Every > 0 {
		usual = max(1, int(math.Ceil(float64(time.Second)/float64(l.Every))))
	}
	l.Burst = o.get("burst").number(usual, 1, 100_000)
	if o.has("burst") && !o.has("rate") {
		o.get("burst").failKey("for example rate: 10/s", "is how far a rate may be gone over, and there is none")
	}
	return l
}

// rate is the time between two requests: 100 ms for 10/s. 0: none is given.
func (v value) rate() time.Duration {
	s := v.text()
	if s == "" {
		return 0
	}
	every, err := parseRate(s)
	if err != nil {
		v.fail("a number and a unit of time: 10/s, 600/m, 1000/h", "%s is not a rate", v.quote(s))
		return 0
	}
	if every > day || every < 10*time.Microsecond {
		v.fail("from 1/d to 100000/s", "%s is out of bounds", v.quote(s))
		return 0
	}
	return every
}

func parseRate(s string) (time.Duration, error) {
	number, unit, ok := strings.Cut(s, "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}[strings.TrimSpace(unit)]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || per == 0 || err != nil || !(n > 0) || math.IsInf(n, 0) {
		return 0, errors.New("no rate")
	}
	every := float64(per) / n
	if every > float64(forever) {
		return forever, nil
	}
	return time.Duration(every), nil
}

// share is a part of a whole: 50%, or 0.5.
func (v value) share(usual float64) float64 {
	s := v.text()
	if s == "" {
		return usual
	}
	number, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		v.fail("for example 50%", "%s is not a share: more than 0 %% and at most 100 %%", v.quote(s))
		return usual
	}
	return f
}

func breaker(v value) Breaker {
	b := Breaker{Failures: 0.5, SlowRate: 0.8, Least: 20, Window: 30 * time.Second, Open: 5 * time.Second}
	if v.given() && v.node.kind == scalar {
		b.Off = v.oneOf("", "off") == "off"
		v.node = nil
	}
	o := v.open("breaker")
	b.Off = b.Off || o.get("off").yes()
	b.Failures = o.get("failures").share(b.Failures)
	b.Slow = o.get("slow").duration(0, time.Millisecond, 15*time.Minute)
	b.SlowRate = o.get("slow_share").share(b.SlowRate)
	b.Least = o.get("least").number(b.Least, 1, 100_000)
	b.Window = o.get("window").duration(b.Window, time.Second, time.Hour)
	b.Open = o.get("open").duration(b.Open, 100*time.Millisecond, 5*time.Minute)
	if o.has("slow_share") && !o.has("slow") {
		o.get("slow_share").failKey("slow: 5s says from when on a request is slow", "nothing says what is slow")
	}
	return b
}

// takesKey is how a system recognises what is repeated. One that is said to do
// it does it by the usual header for a day, unless it says otherwise.
func takesKey(v value) Idempotency {
	o := v.open("system_idempotency")
	header := o.get("header")
	i := Idempotency{Header: usualKeyHeader, Valid: o.get("valid").duration(day, time.Second, 365*day)}
	if s := header.text(); s != "" && header.headerName(s) {
		i.Header = s
	}
	if !v.given() {
		return Idempotency{}
	}
	return i
}

const usualKeyHeader = "Idempotency-Key"
