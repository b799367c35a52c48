package provider

import "github.com/seawall-dev/seawall/internal/verify"

// Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https. One
// event that reaches us over several subscriptions has one event id, and a
// webhook id for each.

var shopify = entry{
	Info: Info{
		Name: "shopify", Title: "Shopify",
		Doc:   "X-Shopify-Hmac-Sha256: base64 HMAC-SHA256 over the body",
		ID:    "header X-Shopify-Event-Id (else X-Shopify-Webhook-Id)",
		Needs: "secret (the app's client secret)",
		Keys:  []string{"secret"},
	},
	objects: true,
	open:    openShopify,
	sample: func(n string) sample {
		return sample{
			header: map[string]string{"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": "demo.myshopify.com", "X-Shopify-Event-Id": n,
				"X-Shopify-Webhook-Id": "w-" + n, "X-Shopify-Triggered-At": sampleTime, "X-Shopify-API-Version": "2026-01"},
			body: `{"id":82` + numeric(n) + `,"name":"#1001","email":"jon@example.com","total_price":"42.00","created_at":"` + sampleTime + `","updated_at":"` + sampleTime + `"}`,
		}
	},
	sign: signPlain(shopifyHeader, "", verify.Base64),
}

const shopifyHeader = "X-Shopify-Hmac-Sha256"

var shopifyFields = pick("id", "updated_at")

func openShopify(s Settings) (*source, error) {
	keys, err := textKeys("secret", s.Secrets, "the app's client secret; for webhooks made in the admin, the secret shown below the list of them")
	if err != nil {
		return nil, err
	}
	return &source{
		keys:      keys,
		signature: shopifyHeader,
		check:     plainHMAC("shopify", shopifyHeader, "", verify.Base64),
		items: func(r *Request) ([]Item, string) {
			event, delivery := r.Header.Get("X-Shopify-Event-Id"), r.Header.Get("X-Shopify-Webhook-Id")
			triggered := r.Header.Get("X-Shopify-Triggered-At")
			v, err := shopifyFields.from(r.Body, 0)
			it := Item{
				Type: r.Header.Get("X-Shopify-Topic"), Delivery: delivery,
				Entity: v[0], Version: v[1], OccurredAt: moment(triggered), OccurredRaw: triggered,
			}
			it, problem := identified(it, firstOf(event, delivery), "the header X-Shopify-Event-Id is missing", r.Body)
			return []Item{it}, join(problem, unreadable(err))
		},
	}, nil
}
