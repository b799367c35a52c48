// Package provider is who sends webhooks in the examples: many at a time, in no order,
// and again what was not taken.
package provider

import (
	"bytes"
	"encoding/json"
	"log"
	"net/http"
	"sync"
	"time"
)

// Send posts each event to each address, sixteen at a time, and returns when all were
// taken, or given up after five tries.
func Send[E any](events []E, to ...string) {
	var all sync.WaitGroup
	next := make(chan E)
	for range 16 {
		all.Go(func() {
			for e := range next {
				for _, at := range to {
					post(at, e)
				}
			}
		})
	}
	for _, e := range events {
		next <- e
	}
	close(next)
	all.Wait()
}

func post(at string, event any) {
	body, err := json.Marshal(event)
	if err != nil {
		log.Fatal(err)
	}
	for range 5 {
		resp, err := http.Post(at, "application/json", bytes.NewReader(body))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 300 {
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}
