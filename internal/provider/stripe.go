package provider

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Stripe: https://docs.stripe.com/webhooks/signature. The key is the whole
// secret, prefix included. Like Stripe's own libraries, only times in the past
// are bounded.

var stripe = entry{
	Info: Info{
		Name: "stripe", Title: "Stripe",
		Doc:   "Stripe-Signature: t=…,v1=…; HMAC-SHA256 over time and body, 5 minutes",
		ID:    "id of the event (evt_…)",
		Needs: "secret (whsec_…)",
		Keys:  []string{"secret", "tolerance"},
	},
	objects: true,
	open:    openStripe,
	sample: func(n string) sample {
		return sample{body: `{"id":"evt_` + n + `","object":"event","api_version":"2025-09-30.clover","created":` + sampleUnix +
			`,"data":{"object":{"id":"pi_` + n + `","object":"payment_intent","amount":4200,"currency":"eur","status":"succeeded","metadata":{"order_id":"` + n +
			`"}}},"livemode":false,"pending_webhooks":1,"type":"payment_intent.succeeded"}`}
	},
	sign: func(s Settings, r *Request) error {
		secret, err := first("secret", s.Secrets)
		if err != nil {
			return err
		}
		ts := strconv.FormatInt(r.Now.Unix(), 10)
		mac := verify.SHA256.Sum([]byte(secret), []byte(ts), dot, r.Body)
		r.Header.Set(stripeHeader, "t="+ts+",v1="+verify.Hex.Encode(mac))
		return nil
	},
}

const stripeHeader = "Stripe-Signature"

var (
	dot          = []byte{'.'}
	stripeFields = pick("id", "type", "created", "data.object.id|related_object.id")
)

func openStripe(s Settings) (*source, error) {
	const where = "the endpoint's signing secret (whsec_…): Stripe dashboard, Developers, Webhooks; or what \"stripe listen\" prints"
	keys, err := keys("secret", s.Secrets, where, func(s string) ([]byte, error) {
		switch {
		case strings.HasPrefix(s, "sk_"), strings.HasPrefix(s, "rk_"), strings.HasPrefix(s, "pk_"):
			return nil, errors.New("it is an API key, which signs no webhooks")
		case !strings.HasPrefix(s, "whsec_"):
			return nil, errors.New("it does not begin with whsec_")
		case len(s) < len("whsec_")+leastDecoded:
			return nil, errors.New("it is cut short")
		}
		return []byte(s), nil
	})
	if err != nil {
		return nil, err
	}
	window := verify.Window{Past: tolerance(s, 5*time.Minute), Future: -1}
	return &source{
		keys:      keys,
		signature: stripeHeader,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, stripeHeader)
			if err != nil {
				return "", err
			}
			pairs, err := verify.Pairs(stripeHeader, value, ",", "=")
			if err != nil {
				return "", err
			}
			ts, err := verify.One(stripeHeader, pairs, "t")
			if err != nil {
				return "", err
			}
			signed, err := signedAt(stripeHeader, ts, verify.Seconds)
			if err != nil {
				return "", err
			}
			sigs, err := verify.All(stripeHeader, pairs, "v1", "", verify.Hex, verify.SHA256.Size)
			if err != nil {
				return "", err
			}
			n, err := verify.HMAC(verify.SHA256, keys, r.Now, sigs, []byte(ts), dot, r.Body)
			if err != nil {
				return "", err
			}
			return proof("stripe v1", "secret", n, len(keys)), verify.Fresh(signed, r.Now, window)
		},
		items: func(r *Request) ([]Item, string) {
			v, err := stripeFields.from(r.Body, 0)
			if err != nil && v[0] == "" {
				return unread(r, err)
			}
			it := Item{Type: v[1], Entity: v[3], OccurredAt: moment(v[2]), OccurredRaw: v[2]}
			it, problem := identified(it, v[0], "payload: it has no id", r.Body)
			return []Item{it}, join(problem, unreadable(err))
		},
	}, nil
}
