package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// call posts a payment as a call.
func (s *stage) call(order string) error {
	body, err := json.Marshal(map[string]any{
		"method": "POST", "path": "/v1/payment_intents",
		"form": map[string]any{"amount": 2000, "currency": "eur", "metadata[order_id]": order},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.internal+"/api/v1/systems/payments/calls", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "pay-"+order)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s: %s", resp.Status, text)
	}
	return nil
}

// calls counts the calls that are in a state, as a person sees them.
func (s *stage) calls(state string) (n int) {
	cursor := ""
	for {
		req, err := http.NewRequest(http.MethodGet, "http://"+s.gateway.Admin+"/api/v1/calls?limit=100&system=payments&state="+state+cursor, nil)
		if err != nil {
			s.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.admin)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			s.Fatal(err)
		}
		var page struct {
			Data []json.RawMessage
			Next string
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			s.Fatalf("GET calls: %s: %v", resp.Status, err)
		}
		n += len(page.Data)
		if page.Next == "" {
			return n
		}
		cursor = "&cursor=" + page.Next
	}
}

// late pays as many orders as there are faults, at a bank that knows no keys and
// whose answers to all of them come too late.
func late(t *testing.T, settings string) *stage {
	_, n := chance(t)
	bank, err := NewBank()
	if err != nil {
		t.Fatal(err)
	}
	bank.Keyless = true
	bank.Slow = 2 * time.Second
	bank.Strikes = func(string) Trouble { return SlowAfter }
	s := newStage(t, n, bank, settings)
	var shops sync.WaitGroup
	for i := range *faults {
		shops.Go(func() {
			if err := s.call(fmt.Sprint("order-", i)); err != nil {
				t.Error(err)
			}
		})
	}
	shops.Wait()
	return s
}

func (s *stage) once() {
	s.Helper()
	effects := s.bank.Effects()
	for order, n := range effects {
		if n != 1 {
			s.Errorf("%s was paid %d times", order, n)
		}
	}
	if len(effects) != *faults {
		s.Errorf("%d of %d orders took effect", len(effects), *faults)
	}
}

// Where a check tells what became of a request, a timeout is no more than a
// delay: nothing is done twice, and everything is known in the end.
func TestG6_TimeoutsAtASystemWithoutKeysAreChecked(t *testing.T) {
	s := late(t, `
    limit: { concurrency: 32 }
    calls:
      - match: POST /v1/payment_intents
        on_unknown: [check, hold]
        check:
          path: /v1/payment_intents?limit=100
          found: 'first(.data[] | select(.metadata.order_id == $call.body.metadata.order_id))'
          after: 200ms
`)
	s.until("all delivered", func() bool { return s.calls("delivered") == *faults })
	s.once()
	t.Logf("%d timeouts after the effect, %d payments, 0 held", s.bank.Struck()[SlowAfter], len(s.bank.Effects()))
}

// Without one they are held for a person, all of them, and none is repeated.
func TestG6_TimeoutsAtASystemWithoutKeysAreHeld(t *testing.T) {
	s := late(t, "    limit: { concurrency: 32 }\n")
	s.until("all held", func() bool { return s.calls("held") == *faults })
	s.once()
	if n := s.bank.Struck()[SlowAfter]; n != *faults {
		t.Errorf("the bank was asked %d times", n)
	}
	t.Logf("%d timeouts after the effect, %d held, 0 repeated", s.bank.Struck()[SlowAfter], *faults)
}
