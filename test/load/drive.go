package load

import (
	"sync"
	"sync/atomic"
	"time"
)

// Plan is one stretch of load.
type Plan struct {
	Addr   string
	Also   []string // further nodes of the same gateway: connections go to all in turn
	Path   string
	Paths  []string // instead of Path: events go to them in turn
	Secret string
	Run    string
	First  int           // number of the first event
	Conns  int           // connections, each with one request at a time
	Rate   float64       // requests per second; 0: as fast as answers come
	For    time.Duration // how long to send
	Most   int           // events at most; 0: no bound
}

// Sample is one acknowledged event.
type Sample struct {
	Seq   int
	Began time.Time // when it was sent, or should have been: see Drive
	Acked time.Time
}

// Result is what came of a Plan.
type Result struct {
	Began   time.Time
	Ended   time.Time // when the last answer was there
	Next    int       // from here on, no number has been sent
	Acked   []Sample
	Refused int // answered, but not 2xx
	Failed  int // not answered
}

// Drive sends a plan's events over its connections and waits for the answers.
//
// At a fixed rate a request that finds all connections busy began when it was
// due: its waiting counts, as it would for a sender that does not wait for us.
// One that is late only because this process woke up late began when it was
// sent.
func Drive(p Plan) Result {
	var (
		res  = Result{Began: time.Now()}
		next atomic.Int64
		mu   sync.Mutex
		wg   sync.WaitGroup
	)
	end := res.Began.Add(p.For)
	addrs := append([]string{p.Addr}, p.Also...)
	paths := p.Paths
	if len(paths) == 0 {
		paths = []string{p.Path}
	}
	for n := range p.Conns {
		wg.Go(func() {
			conn, sources := NewConn(addrs[n%len(addrs)]), make([]*Source, len(paths))
			for i, path := range paths {
				sources[i] = NewSource(path, p.Secret, p.Run)
			}
			defer conn.Close()
			var acked []Sample
			var refused, failed int
			for {
				i := int(next.Add(1) - 1)
				began := time.Now()
				if p.Rate > 0 {
					due := res.Began.Add(time.Duration(float64(i) / p.Rate * float64(time.Second)))
					if wait := due.Sub(began); wait > 0 && due.Before(end) {
						time.Sleep(wait)
						began = time.Now()
					} else {
						began = due
					}
				}
				if !began.Before(end) || p.Most > 0 && i >= p.Most {
					break // its number is left out
				}
				status, err := conn.Do(sources[i%len(sources)].Request(p.First + i))
				switch {
				case err != nil:
					failed++
				case status/100 != 2:
					refused++
				default:
					acked = append(acked, Sample{p.First + i, began, time.Now()})
				}
			}
			mu.Lock()
			defer mu.Unlock()
			res.Acked = append(res.Acked, acked...)
			res.Refused += refused
			res.Failed += failed
		})
	}
	wg.Wait()
	res.Ended = time.Now()
	res.Next = p.First + int(next.Load())
	if p.Most > 0 {
		res.Next = min(res.Next, p.First+p.Most)
	}
	return res
}
