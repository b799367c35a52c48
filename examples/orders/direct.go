package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
)

// direct is the integration that was written without a gateway. It knows events that
// it has handled, remembers whose payment is whose, and answers 500 where it cannot go
// on, so that it gets the event again.
type direct struct {
	shop string

	mu      sync.Mutex
	handled map[string]bool
	orders  map[string]string // by payment
}

func (d *direct) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event
	if json.NewDecoder(r.Body).Decode(&e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := d.handle(&e); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (d *direct) handle(e *event) error {
	o := &e.Data.Object
	d.mu.Lock()
	done := d.handled[e.ID]
	if o.Metadata.OrderID != "" {
		d.orders[o.ID] = o.Metadata.OrderID
	}
	order := d.orders[o.ID]
	if o.PaymentIntent != "" {
		order = d.orders[o.PaymentIntent]
	}
	d.mu.Unlock()
	if done {
		return nil
	}
	if order == "" {
		return fmt.Errorf("nobody knows the order of %s", o.PaymentIntent)
	}
	body, err := json.Marshal(map[string]string{"type": e.Type, "order": order})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPut, d.shop+order, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the shop answered %s", resp.Status)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handled[e.ID] = true
	return nil
}
