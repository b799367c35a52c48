package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/client"
	"github.com/seawall-dev/seawall/internal/app"
	"github.com/seawall-dev/seawall/internal/config"
)

// The examples run against a gateway of their own, with a payment service behind
// it. A program of yours has these from its environment.
var gatewayURL, token string

func ExampleClient_Call() {
	c, err := client.New(gatewayURL, token)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	charge := client.Call{
		Method: "POST", Path: "/v1/charges",
		Form: url.Values{"amount": {"2000"}, "currency": {"eur"}},
		Key:  "order-1001-charge", // the same whenever this order is to be paid
		Wait: 10 * time.Second,
	}
	for range 2 { // a program that has crashed in between does the same
		call, err := c.Call(ctx, "payments", charge)
		if err != nil {
			log.Fatal(err)
		}
		var paid struct{ ID string }
		if err := call.Response.JSON(&paid); err != nil {
			log.Fatal(err)
		}
		fmt.Println(call.State, call.Response.Status, paid.ID, "replayed:", call.Replayed)
	}
	// Output:
	// delivered 200 ch_1 replayed: false
	// delivered 200 ch_1 replayed: true
}

// A call may be handed over and looked at later.
func ExampleClient_Wait() {
	c, err := client.New(gatewayURL, token)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	call, err := c.Call(ctx, "payments", client.Call{Path: "/v1/refunds", JSON: map[string]string{"charge": "ch_1"}, Key: "order-1001-refund"})
	if err != nil {
		log.Fatal(err)
	}
	if call, err = c.Wait(ctx, call.ID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(call.State, string(call.Response.Body))
	// Output: delivered {"id":"ch_2"}
}

// Errors are told apart by errors.Is.
func ExampleError() {
	c, err := client.New(gatewayURL, token)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	pay := func(amount string) error {
		_, err := c.Call(ctx, "payments", client.Call{Path: "/v1/charges", Form: url.Values{"amount": {amount}}, Key: "order-1002-charge"})
		return err
	}
	fmt.Println(pay("10"))
	if err := pay("11"); errors.Is(err, client.ErrKeyReused) {
		fmt.Println("that key was for another amount")
	}
	// Output:
	// <nil>
	// that key was for another amount
}

func ExampleClient_Send() {
	c, err := client.New(gatewayURL, token)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	signup := client.Event{
		JSON:       map[string]string{"id": "signup-77", "type": "user.created", "email": "ann@example.com"},
		Repeatable: true, // it has an id: coming twice, it is recognised
	}
	first, err := c.Send(ctx, "app", signup)
	if err != nil {
		log.Fatal(err)
	}
	again, err := c.Send(ctx, "app", signup)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first == again, first[:4])
	// Output: true evt_
}

const file = `
store: sqlite:%[1]s/seawall.db
listen: "127.0.0.1:0"
internal: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
egress: { allow: ["127.0.0.0/8"] }
sources:
  app: { provider: token, token: "${APP_TOKEN}", id: .id, type: .type }
systems:
  payments: { url: "%[2]s" }
destinations:
  mail: { url: "%[2]s/mail" }
routes:
  - { from: app, to: mail }
`

func TestMain(m *testing.M) { os.Exit(run(m.Run)) }

// run starts a gateway with a payment service behind it for as long as f takes.
func run(f func() int) int {
	dir, err := os.MkdirTemp("", "seawall-client-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	var charges atomic.Int64
	payments := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/charges" || r.URL.Path == "/v1/refunds" {
			charges.Add(1)
		}
		fmt.Fprintf(w, `{"id":"ch_%d"}`, charges.Load())
	}))
	defer payments.Close()

	env := func(name string) (string, bool) { return "a-token-of-the-example", name == "APP_TOKEN" }
	parse := func(text []byte) (*config.Config, error) {
		return config.Parse(text, "seawall.yaml", config.Options{Dir: dir, Getenv: env})
	}
	conf, err := parse(fmt.Appendf(nil, file, dir, payments.URL))
	if err != nil {
		log.Fatal(err)
	}
	gateway, err := app.Open(context.Background(), app.Options{
		Config: conf, Parse: parse, Load: func() (*config.Config, error) { return conf, nil }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Run(ctx) }()
	gatewayURL, token = "http://"+gateway.InnerAddr(), newToken("http://"+gateway.AdminAddr())
	code := f()
	stop()
	if err := <-ended; err != nil {
		log.Fatal(err)
	}
	return code
}

// newToken does what seawall token create does.
func newToken(admin string) string {
	resp, err := http.Post(admin+"/api/v1/tokens", "application/json",
		bytes.NewReader([]byte(`{"name":"shop","scopes":["calls:payments","events:app"]}`)))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var made struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil || made.Token == "" {
		log.Fatalf("no token: %s: %v", resp.Status, err)
	}
	return made.Token
}
