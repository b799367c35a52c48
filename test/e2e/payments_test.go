package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

// The example of payments, as it stands but for its addresses: a payment that is
// made although the answer is lost is made once, and the shop is told.
func TestG6_ExampleOfPayments(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			payments(t, engine)
		})
	}
}

func payments(t *testing.T, engine string) {
	text, err := os.ReadFile("../../examples/payments/seawall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var asked, effects atomic.Int32
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sk_test_of_the_example" {
			t.Errorf("authenticated by %q", r.Header.Get("Authorization"))
		}
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `{"data":[]}`)
			return
		}
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil || form.Get("metadata[order_id]") != "1001" || r.Header.Get("Idempotency-Key") == "" {
			t.Errorf("asked for %s under %q", body, r.Header.Get("Idempotency-Key"))
		}
		if asked.Add(1) == 1 {
			effects.Add(1)
			panic(http.ErrAbortHandler) // it is done, and nobody is told
		}
		w.Header().Set("Idempotent-Replayed", "true")
		fmt.Fprint(w, `{"id":"pi_1","status":"succeeded"}`)
	}))
	defer stripe.Close()
	d := newDestination(t, nil)
	inner := freeAddress(t)
	env := []string{"STRIPE_KEY=sk_test_of_the_example", "SHOP_SECRET=" + outSecret}
	if engine == "postgres" {
		env = append(env, "SEAWALL_STORE="+pgcluster.Shared(t))
	}
	g := newGateway(t, strings.NewReplacer(
		"http://127.0.0.1:9000", d.URL, "https://api.stripe.com", stripe.URL,
		"127.0.0.1:8082", inner, "127.0.0.1:8090", freeAddress(t),
	).Replace(string(text)), env...)
	g.start()
	made := g.order("/tokens", row{"name": "shop", "scopes": []string{"calls:stripe"}})

	call := func() (int, string, row) {
		status, text := g.call("POST", "http://"+inner+"/api/v1/systems/stripe/calls", http.Header{
			"Authorization": {"Bearer " + made["token"].(string)}, "Content-Type": {"application/json"},
			"Idempotency-Key": {"order-1001"}, "Prefer": {"wait=30"},
		}, []byte(`{"method": "POST", "path": "/v1/payment_intents", "form": {"amount": 2000, "currency": "eur", "metadata[order_id]": "1001"}}`))
		var doc row
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("answered %d %s", status, text)
		}
		return status, text, doc
	}
	status, first, doc := call()
	response, _ := doc["response"].(row)
	if status != http.StatusOK || doc["state"] != "delivered" || response["status"] != float64(200) || effects.Load() != 1 || asked.Load() != 2 {
		t.Fatalf("answered %d %s, after %d requests", status, first, asked.Load())
	}
	if _, again, _ := call(); again != first || asked.Load() != 2 {
		t.Errorf("the second time answered %s, after %d requests", again, asked.Load())
	}
	r := d.next()
	var told struct {
		State string
		Call  struct{ ID, Key string }
	}
	if err := json.Unmarshal(r.body, &told); err != nil || r.path != "/payments" || !signed(outSecret, r) ||
		r.header.Get("Seawall-Type") != "call.completed" || told.State != "delivered" || told.Call.ID != doc["id"] || told.Call.Key != "order-1001" {
		t.Errorf("the shop was told %s %s: %v", r.path, r.body, err)
	}
	g.stop()
	d.none()
}
