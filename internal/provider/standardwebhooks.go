package provider

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Standard Webhooks 1.0 (https://www.standardwebhooks.com), and Svix, which is
// the same under other header names.

var standardWebhooks = entry{
	Info: Info{
		Name: "standardwebhooks", Title: "Standard Webhooks",
		Doc:   "webhook-id, webhook-timestamp, webhook-signature: HMAC-SHA256 (v1) or Ed25519 (v1a)",
		ID:    "header webhook-id",
		Needs: "secret (whsec_…) or public_key (whpk_…)",
		Keys:  []string{"secret", "public_key", "tolerance"},
	},
	objects: true,
	open:    func(s Settings) (*source, error) { return openStandard(s, "webhook-") },
	sample:  standardSample,
	sign:    func(s Settings, r *Request) error { return signStandard(s, r, "webhook-") },
}

var svix = entry{
	Info: Info{
		Name: "svix", Title: "Svix (Clerk, Resend and others)",
		Doc:   "svix-id, svix-timestamp, svix-signature: Standard Webhooks under other names",
		ID:    "header svix-id",
		Needs: "secret (whsec_…) or public_key (whpk_…)",
		Keys:  []string{"secret", "public_key", "tolerance"},
	},
	objects: true,
	open:    func(s Settings) (*source, error) { return openStandard(s, "svix-") },
	sample:  standardSample,
	sign:    func(s Settings, r *Request) error { return signStandard(s, r, "svix-") },
}

// The payload is the sender's own; these names are the specification's advice
// and what large senders use.
var standardFields = pick("type|event_type|eventType", "data.id|data.object.id", "timestamp|created_at")

func openStandard(s Settings, prefix string) (*source, error) {
	var secrets, public []verify.Key
	var err error
	const where = "the signing secret of the endpoint, as the sender shows it: whsec_ and base64"
	if len(s.Secrets) > 0 || len(s.PublicKeys) == 0 {
		if secrets, err = keys("secret", s.Secrets, where, standardSecret); err != nil {
			return nil, err
		}
	}
	for _, p := range s.PublicKeys {
		key, err := verify.StandardPublicKey(p)
		if err != nil {
			return nil, wrong("public_key", "has the wrong form: %v", err).hint("whpk_ and base64 of the 32 bytes of an Ed25519 public key")
		}
		public = append(public, verify.Key{Bytes: key})
	}
	scheme := verify.Standard{Prefix: prefix, Window: verify.Both(tolerance(s, 5*time.Minute))}
	return &source{
		keys:      secrets,
		signature: http.CanonicalHeaderKey(prefix + "signature"),
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			version, n, err := scheme.Verify(r.Header, r.Body, keys, public, r.Now)
			if err != nil {
				return "", err
			}
			if version == "v1a" {
				return proof("standard webhooks v1a", "public key", n, len(public)), nil
			}
			return proof("standard webhooks v1", "secret", n, len(keys)), nil
		},
		items: func(r *Request) ([]Item, string) {
			v, err := standardFields.from(r.Body, 0)
			it := Item{Type: v[0], Entity: v[1], OccurredAt: moment(v[2]), OccurredRaw: v[2]}
			it, problem := identified(it, r.Header.Get(prefix+"id"), "the header "+prefix+"id is missing", r.Body)
			return []Item{it}, join(problem, unreadable(err))
		},
	}, nil
}

func standardSecret(s string) ([]byte, error) {
	key, err := verify.StandardKey(s)
	if err == nil && len(key) < leastDecoded {
		return nil, errShort(len(key))
	}
	return key, err
}

func standardSample(n string) sample {
	return sample{body: `{"type":"order.paid","timestamp":"` + sampleTime + `","data":{"id":"order_` + n + `","total":4200,"currency":"EUR"}}`}
}

func signStandard(s Settings, r *Request, prefix string) error {
	secret, err := first("secret", s.Secrets)
	if err != nil {
		return err
	}
	id := r.Header.Get(prefix + "id")
	if id == "" {
		id = "msg_" + contentID(r.Body)[len("sha256:"):]
	}
	value, err := verify.SignStandard([]string{secret}, id, r.Now, r.Body)
	if err != nil {
		return wrong("secret", "%v", err)
	}
	r.Header.Set(prefix+"id", id)
	r.Header.Set(prefix+"timestamp", strconv.FormatInt(r.Now.Unix(), 10))
	r.Header.Set(prefix+"signature", value)
	return nil
}
