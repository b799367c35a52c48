// Baseline is the yardstick of the benchmark: the least that a durable
// forwarder does. It accepts a POST, appends the body to a file, shares one
// fdatasync among the requests that wait for it, answers 202, and posts the
// body on over kept-alive connections. It verifies nothing, deduplicates
// nothing, retries nothing, and never reads its file again.
//
// Its code is pinned by the test beside it, so that a change of the yardstick
// is never an accident.
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxBody    = 5 << 20
	groupMost  = 256  // events that share one fdatasync
	queueMost  = 1024 // accepted and not yet posted on; beyond it senders wait
	forwardFor = 30 * time.Second
)

type event struct {
	body        []byte
	contentType string
	durable     chan error
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to accept events on")
	file := flag.String("file", "baseline.log", "file to append events to")
	forward := flag.String("forward", "", "url to post events on to")
	workers := flag.Int("workers", 64, "posts in flight at once")
	flag.Parse()

	f, err := os.OpenFile(*file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	arriving := make(chan *event, queueMost)
	accepted := make(chan *event, queueMost)
	var failed atomic.Int64

	go write(f, arriving, accepted)
	client := &http.Client{
		Timeout: forwardFor,
		Transport: &http.Transport{
			MaxConnsPerHost:     *workers,
			MaxIdleConns:        *workers,
			MaxIdleConnsPerHost: *workers,
			DisableCompression:  true,
		},
	}
	for range *workers {
		go func() {
			for e := range accepted {
				if err := post(client, *forward, e); err != nil && failed.Add(1) == 1 {
					log.Print(err) // the first; the harness misses every one of them
				}
			}
		}()
	}
	server := &http.Server{Addr: *listen, Handler: accept(arriving), ReadTimeout: 30 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// accept answers 202 once the event is on disk.
func accept(arriving chan<- *event) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.ContentLength < 0 || r.ContentLength > maxBody {
			http.Error(w, "want a POST of known, bounded length", http.StatusBadRequest)
			return
		}
		e := &event{
			body:        make([]byte, r.ContentLength),
			contentType: r.Header.Get("Content-Type"),
			durable:     make(chan error, 1),
		}
		if _, err := io.ReadFull(r.Body, e.body); err != nil {
			http.Error(w, "body cut short", http.StatusBadRequest)
			return
		}
		arriving <- e
		if err := <-e.durable; err != nil {
			http.Error(w, "not durable", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// write appends whatever waits, syncs once, and lets all of it go. There is no
// timer: while one group syncs, the next one gathers.
func write(f *os.File, arriving <-chan *event, accepted chan<- *event) {
	var group []*event
	var buf []byte
	for first := range arriving {
		group, buf = append(group[:0], first), buf[:0]
	gather:
		for len(group) < groupMost {
			select {
			case e := <-arriving:
				group = append(group, e)
			default:
				break gather
			}
		}
		for _, e := range group {
			buf = binary.BigEndian.AppendUint32(buf, uint32(len(e.body)))
			buf = append(buf, e.body...)
		}
		_, err := f.Write(buf)
		if err == nil {
			err = syscall.Fdatasync(int(f.Fd()))
		}
		for _, e := range group {
			e.durable <- err
		}
		if err != nil {
			log.Fatal(err) // what is on disk is not known any more
		}
		for _, e := range group {
			accepted <- e
		}
	}
}

func post(client *http.Client, url string, e *event) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(e.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", e.contentType)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("destination answered %d", resp.StatusCode)
	}
	return nil
}
