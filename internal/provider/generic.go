package provider

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/verify"
)

// What the generic sources have in common: nothing is known of their payload
// but what the configuration says.

const (
	idHeader  = "Webhook-Id"      // Standard Webhooks
	keyHeader = "Idempotency-Key" // draft-ietf-httpapi-idempotency-key-header

	genericID = "id: (jq), else header webhook-id, else Idempotency-Key; otherwise every request is a new event"
)

func errNotEncoded(e verify.Encoding) error { return fmt.Errorf("it is not %s", e) }

// genericItems identifies by the expressions of the settings. docs/decisions/
// provider-seam.md says why a request without an id is a new event, even if its
// body is equal to an earlier one's.
func genericItems(s Settings) func(*Request) ([]Item, string) {
	if s.Each == nil {
		return func(r *Request) ([]Item, string) {
			it, problem := s.item(r, r.Body, firstOf(r.Header.Get(idHeader), r.Header.Get(keyHeader)))
			return []Item{it}, problem
		}
	}
	path, _ := listPath(s.Each)
	return func(r *Request) ([]Item, string) {
		id := firstOf(r.Header.Get(idHeader), r.Header.Get(keyHeader))
		events, err := eachOf(r.Body, path)
		if err != nil {
			it, problem := s.item(r, r.Body, id)
			return []Item{it}, join("each: "+err.Error(), problem)
		}
		var problems []string
		items := make([]Item, len(events))
		for i, body := range events {
			own := ""
			if id != "" {
				own = id + "/" + strconv.Itoa(i)
			}
			var problem string
			if items[i], problem = s.item(r, body, own); problem != "" && len(problems) < 3 {
				problems = append(problems, "event "+strconv.Itoa(i+1)+": "+problem)
			}
			items[i].Body = body
		}
		return items, join(problems...)
	}
}

// item identifies one event by its body. sent is the id in the request's headers.
func (s *Settings) item(r *Request, body []byte, sent string) (Item, string) {
	var in *expr.Input
	if s.ID != nil || s.Type != nil || s.Time != nil {
		in = expr.NewInput(body, r.Header.Get("Content-Type"), expr.Event{ReceivedAt: r.Now, Headers: safe(r.Header, s.Header)})
	}
	id, noID := ask("id", s.ID, in)
	typ, noType := ask("type", s.Type, in)
	at, noTime := ask("time", s.Time, in)

	it := Item{ID: id, Type: typ, OccurredRaw: at, OccurredAt: moment(at)}
	if at != "" && it.OccurredAt.IsZero() {
		noTime = "time: the value is not a time"
	}
	if it.ID == "" {
		it.ID, it.Keyless = sent, sent == ""
		if s.ID != nil && noID == "" {
			noID = "id: the expression gives null"
		}
	}
	return it, join(noID, noType, noTime)
}

// ask runs an expression of the settings.
func ask(key string, code *expr.Code, in *expr.Input) (value, problem string) {
	if code == nil {
		return "", ""
	}
	value, _, err := code.String(context.Background(), in)
	if err != nil {
		return "", key + ": " + err.Error()
	}
	return value, ""
}

// safe is the headers without what proves the sender: an expression must not
// be able to copy a credential into an id.
func safe(h http.Header, credential string) http.Header {
	out := maps.Clone(h)
	delete(out, authorization)
	delete(out, http.CanonicalHeaderKey(credential))
	return out
}

func genericSample(n string) sample {
	return sample{
		header: map[string]string{idHeader: "sample_" + n},
		body:   `{"id":"sample_` + n + `","type":"order.paid","at":"` + sampleTime + `","order":{"id":"` + n + `","total":4200,"currency":"EUR"}}`,
	}
}
