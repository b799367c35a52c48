package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
)

// Trouble is what befalls one request to a Bank.
type Trouble uint8

const (
	None      Trouble = iota
	CutBefore         // the connection ends before anything happened
	CutAfter          // it happened, and the connection ends
	SlowAfter         // it happened, and the answer comes too late
	BadAfter          // it happened, and the answer is a 500, also to every repetition
)

// Bank stands for Stripe. The official mock answers, and judges whether a
// request is one of the API; what it lacks is here: a memory of idempotency
// keys, a list of payments, and a count of what took effect.
type Bank struct {
	Keyless bool                       // it knows no idempotency keys
	Strikes func(order string) Trouble // asked before each payment; may be nil
	Slow    time.Duration              // of SlowAfter

	mock *server.StubServer

	mu       sync.Mutex
	answers  map[string]answer // by idempotency key
	payments []payment
	struck   map[Trouble]int
}

type answer struct {
	status int
	body   []byte
}

// payment is one that took effect.
type payment struct {
	order  string
	intent json.RawMessage
}

// NewBank makes an empty bank.
func NewBank() (*Bank, error) {
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		return nil, err
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		return nil, err
	}
	mock, err := server.NewStubServer(fixtures, spec, false, false)
	if err != nil {
		return nil, err
	}
	return &Bank{mock: mock, Slow: 3 * time.Second, answers: map[string]answer{}, struck: map[Trouble]int{}}, nil
}

// Effects is how often each order was paid.
func (b *Bank) Effects() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[string]int{}
	for _, p := range b.payments {
		n[p.order]++
	}
	return n
}

// Struck is how often each trouble befell a request.
func (b *Bank) Struck() map[Trouble]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[Trouble]int{}
	for t, c := range b.struck {
		n[t] = c
	}
	return n
}

func (b *Bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/payment_intents" {
		b.mock.HandleRequest(w, r)
		return
	}
	if r.Method == http.MethodGet {
		b.list(w)
		return
	}
	b.pay(w, r)
}

// list has the newest first, as Stripe has.
func (b *Bank) list(w http.ResponseWriter) {
	b.mu.Lock()
	data := make([]json.RawMessage, 0, len(b.payments))
	for i := len(b.payments) - 1; i >= 0; i-- {
		data = append(data, b.payments[i].intent)
	}
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"object": "list", "url": "/v1/payment_intents", "has_more": false, "data": data})
}

func (b *Bank) pay(w http.ResponseWriter, r *http.Request) {
	recorder := httptest.NewRecorder()
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	values, err := url.ParseQuery(string(form))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	order, key := values.Get("metadata[order_id]"), r.Header.Get("Idempotency-Key")

	// One request of a key at a time: Stripe answers 409 to the others, and they
	// are made again. Waiting is the same seen from outside.
	b.mu.Lock()
	first, known := b.answers[key]
	if known && !b.Keyless {
		b.mu.Unlock()
		w.Header().Set("Idempotent-Replayed", "true")
		write(w, first)
		return
	}
	trouble := None
	if b.Strikes != nil {
		trouble = b.Strikes(order)
		b.struck[trouble]++
	}
	if trouble == CutBefore {
		b.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(form))
	b.mock.HandleRequest(recorder, again)
	a := answer{recorder.Code, recorder.Body.Bytes()}
	if a.status == http.StatusOK {
		a.body = b.effect(a.body, order, values)
	}
	if trouble == BadAfter {
		a = answer{http.StatusInternalServerError, []byte(`{"error":{"type":"api_error","message":"something went wrong on our end"}}`)}
	}
	if !b.Keyless {
		b.answers[key] = a
	}
	b.mu.Unlock()

	switch trouble {
	case CutAfter:
		panic(http.ErrAbortHandler)
	case SlowAfter:
		select {
		case <-time.After(b.Slow):
		case <-r.Context().Done():
		}
	}
	write(w, a)
}

// effect is the payment; the caller has the lock.
func (b *Bank) effect(mocked []byte, order string, values url.Values) []byte {
	var intent map[string]any
	if err := json.Unmarshal(mocked, &intent); err != nil {
		panic(fmt.Sprintf("the mock's answer: %v", err))
	}
	intent["id"] = fmt.Sprintf("pi_%d", len(b.payments)+1)
	intent["metadata"] = map[string]string{"order_id": order}
	out, err := json.Marshal(intent)
	if err != nil {
		panic(err)
	}
	b.payments = append(b.payments, payment{order, out})
	return out
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
