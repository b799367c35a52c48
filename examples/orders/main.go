// Command orders plays the world around a gateway: a payment provider whose events
// come twice and in any order, and a shop that fails at times. The same events go to a
// gateway and to an integration that was written without one; a table says in what
// state each left the orders.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/seawall-dev/seawall/examples/provider"
)

// event is what the provider sends, as far as it matters here.
type event struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Data    struct {
		Object object `json:"object"`
	} `json:"data"`
}

type object struct {
	ID            string `json:"id"`
	PaymentIntent string `json:"payment_intent,omitempty"` // of a refund
	Metadata      struct {
		OrderID string `json:"order_id,omitempty"` // of a payment
	} `json:"metadata"`
}

func main() {
	log.SetFlags(0)
	listen := flag.String("listen", "127.0.0.1:9000", "where the shop answers")
	gateway := flag.String("gateway", "http://127.0.0.1:8080/in/stripe", "where the gateway takes the provider's events")
	count := flag.Int("orders", 60, "how many orders there are")
	seed := flag.Uint64("seed", rand.Uint64(), "of everything random")
	most := flag.Duration("for", time.Minute, "how long the gateway may take")
	flag.Parse()
	fmt.Printf("seed %d\n", *seed)

	sides := map[string]*shop{"seawall": newShop(*seed), "direct": newShop(*seed)}
	mux := http.NewServeMux()
	for name, s := range sides {
		mux.Handle("PUT /"+name+"/orders/{id}", s)
	}
	mux.Handle("POST /direct/in", &direct{shop: "http://" + *listen + "/direct/orders/", handled: map[string]bool{}, orders: map[string]string{}})
	at, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(at, mux)) }()

	events, want := happen(*count, rand.New(rand.NewPCG(*seed, 1)))
	fmt.Printf("%d events, many of them twice, go to each side\n\n", len(events))
	provider.Send(events, *gateway, "http://"+*listen+"/direct/in")
	settled := settle(sides["seawall"], want, *most)

	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\torders\twrong\twent back\t")
	for _, side := range []string{"seawall", "direct"} {
		wrong, back, _ := sides[side].wrong(want)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t\n", side, len(want), wrong, back)
	}
	table.Flush()
	if wrong, back, _ := sides["seawall"].wrong(want); wrong+back > 0 || !settled {
		fmt.Println("\nthe gateway did not bring it in order")
		os.Exit(1)
	}
}

// happen is what the provider tells, in any order, and the state that each order is in
// after all of it. The last refund is of a payment that nobody has told of.
func happen(orders int, dice *rand.Rand) (events []event, want map[string]int) {
	want = map[string]int{}
	tell := func(kind, id, payment, order string, at int64) {
		e := event{ID: "evt_" + id, Type: kind, Created: at}
		e.Data.Object = object{ID: id, PaymentIntent: payment}
		e.Data.Object.Metadata.OrderID = order
		for range 1 + dice.IntN(2) {
			events = append(events, e)
		}
	}
	const start = 1_795_400_000
	for n := range orders {
		order, payment := strconv.Itoa(1001+n), fmt.Sprint("pi_", n)
		want[order] = 1 + n%3
		for state := 1; state <= want[order]; state++ {
			at := start + int64(10*state)
			switch states[state] {
			case "created", "paid":
				e := map[string]string{"created": "payment_intent.created", "paid": "payment_intent.succeeded"}[states[state]]
				before := len(events)
				tell(e, payment, "", order, at)
				for i := range events[before:] {
					events[before+i].ID += "_" + states[state]
				}
			case "refunded":
				tell("charge.refunded", fmt.Sprint("ch_", n), payment, "", at)
			}
		}
	}
	tell("charge.refunded", "ch_stray", "pi_stray", "", start)
	dice.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events, want
}

// settle waits until the orders are as they should be, and stay so for a moment.
func settle(s *shop, want map[string]int, most time.Duration) bool {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if wrong, _, quiet := s.wrong(want); wrong == 0 && quiet > 2*time.Second {
			return true
		}
	}
	return false
}
