package stripe

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
)

var (
	faults = flag.Int("calls.faults", 30, "crashes and cuts, and timeouts, in each test")
	seed   = flag.Uint64("calls.seed", 0, "of the faults; 0: another each time")
)

// chance is the dice of one test; its seed is printed.
func chance(t *testing.T) (*rand.Rand, uint64) {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-calls.seed=%d", n)
	return rand.New(rand.NewPCG(n, 0)), n
}

// client is Stripe's SDK, told another base URL and another key, and nothing
// else.
func (s *stage) client() *stripe.Client {
	backends := stripe.NewBackendsWithConfig(&stripe.BackendConfig{
		URL:               stripe.String("http://" + s.stripe),
		MaxNetworkRetries: stripe.Int64(4),
		EnableTelemetry:   stripe.Bool(false),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return stripe.NewClient(s.token, stripe.WithBackends(backends))
}

func params(order string) *stripe.PaymentIntentCreateParams {
	p := &stripe.PaymentIntentCreateParams{
		Amount:   stripe.Int64(2000),
		Currency: stripe.String(stripe.CurrencyEUR),
	}
	p.AddMetadata("order_id", order)
	p.SetIdempotencyKey("pay-" + order)
	return p
}

// pay is what a shop does: the same payment under the same key, until it knows.
func pay(ctx context.Context, c *stripe.Client, order string) (*stripe.PaymentIntent, error) {
	for {
		intent, err := c.V1PaymentIntents.Create(ctx, params(order))
		if err == nil {
			return intent, nil
		}
		var refused *stripe.Error
		if errors.As(err, &refused) && refused.HTTPStatusCode < 500 && refused.HTTPStatusCode != 409 && refused.HTTPStatusCode != 429 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; last: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const withKeyAndCheck = `
    idempotency: { header: Idempotency-Key, valid: 24h }
    calls:
      - match: POST /v1/payment_intents
        on_unknown: [retry, check, hold]
        check:
          path: /v1/payment_intents?limit=100
          found: 'first(.data[] | select(.metadata.order_id == $call.body.metadata.order_id))'
          after: 100ms
`

// A shop pays with Stripe's SDK through the gateway, while the gateway is killed
// and started again, connections are cut, and Stripe itself answers late, with
// an error, or not at all. Each payment is made once, and the shop learns of it.
func TestG6_OneEffectForEachKeyThroughCrashesAndCuts(t *testing.T) {
	dice, n := chance(t)
	bank, err := NewBank()
	if err != nil {
		t.Fatal(err)
	}
	var dicing sync.Mutex
	struck := map[string]bool{}
	bank.Slow = time.Second
	bank.Strikes = func(order string) Trouble {
		dicing.Lock()
		defer dicing.Unlock()
		if struck[order] {
			return None
		}
		struck[order] = true
		return Trouble(dice.IntN(int(BadAfter) + 1))
	}
	s := newStage(t, n, bank, withKeyAndCheck)
	kills := max(*faults/3, 1)
	orders := max(*faults-kills, 1)

	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(60+2**faults)*time.Second)
	defer cancel()
	var (
		shops sync.WaitGroup
		next  atomic.Int64
		paid  atomic.Int64
		ended = make(chan struct{})
	)
	for range 8 {
		shops.Go(func() {
			c := s.client()
			for {
				i := next.Add(1)
				if i > int64(orders) && killed(&s.kills) >= kills {
					return
				}
				order := fmt.Sprint("order-", i)
				intent, err := pay(ctx, c, order)
				if err != nil {
					t.Errorf("%s: %v", order, err)
					return
				}
				if intent.Metadata["order_id"] != order {
					t.Errorf("%s: the answer is about %q", order, intent.Metadata["order_id"])
				}
				paid.Add(1)
			}
		})
	}
	go func() { shops.Wait(); close(ended) }()
	for running := true; running; {
		dicing.Lock()
		wait := time.Duration(100+dice.IntN(900)) * time.Millisecond
		cut := dice.IntN(2) == 0
		dicing.Unlock()
		select {
		case <-ended:
			running = false
		case <-time.After(wait):
			if cut {
				s.network.Cut()
				s.cuts.Add(1)
			}
			if killed(&s.kills) < kills {
				s.crash()
			}
		}
	}

	effects := bank.Effects()
	for order, n := range effects {
		if n != 1 {
			t.Errorf("%s was paid %d times", order, n)
		}
	}
	if int64(len(effects)) != paid.Load() {
		t.Errorf("%d orders took effect, the shop knows of %d", len(effects), paid.Load())
	}
	t.Logf("%d payments; kills %d, cuts of all connections %d, troubles of the bank %v",
		paid.Load(), s.kills.Load(), s.cuts.Load(), bank.Struck())
}

func killed(n *atomic.Int64) int { return int(n.Load()) }
