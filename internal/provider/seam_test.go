package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Five providers of the catalogue that are not built yet, and between them need
// all that the seam must carry: a batch, a signature in the body, keys fetched
// at the time of the request, a handshake with a request of our own, a
// computed challenge. Here they only show that each is one short file.

func TestSeam(t *testing.T) {
	built := catalogue
	t.Cleanup(func() { catalogue = built })
	for name, open := range map[string]func(Settings) (*source, error){
		"sendgrid": trySendGrid, "adyen": tryAdyen, "aws_sns": trySNS, "plaid": tryPlaid, "zoom": tryZoom,
	} {
		catalogue = append(catalogue, entry{Info: Info{Name: name, Keys: []string{"secret", "secret_encoding", "public_key", "tolerance"}}, open: open})
	}
	f, err := os.Open("testdata/seam.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rep, err := RunVectors(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, fail := range rep.Failures {
		t.Errorf("%s (%s): %s", fail.ID, fail.Why, fail.Got)
	}
	if rep.Passed < 70 {
		t.Errorf("%d passed", rep.Passed)
	}
}

// A key that cannot be had is not the sender's fault.
func TestSeamUnavailable(t *testing.T) {
	src, err := tryPlaid(Settings{Fetch: fetcher(func(*http.Request) (*http.Response, error) { return nil, errors.New("timeout") })})
	if err != nil {
		t.Fatal(err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"k"}`))
	if _, err := src.Verify(t.Context(), request(`{}`, "Plaid-Verification", head+".e30.AA")); reason(err) != verify.Unavailable {
		t.Error(err)
	}
}

type fetcher func(*http.Request) (*http.Response, error)

func (f fetcher) Do(r *http.Request) (*http.Response, error) { return f(r) }

func fetch(ctx context.Context, f Fetcher, method, url, body string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := f.Do(r)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return nil, verify.Errorf(verify.Unavailable, "%s: %v", r.URL.Host, err)
	}
	return io.ReadAll(resp.Body)
}

func trySendGrid(s Settings) (*source, error) {
	der, err := base64.StdEncoding.DecodeString(s.PublicKeys[0])
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	const header = "X-Twilio-Email-Event-Webhook-Signature"
	fields := pick("sg_event_id", "event", "sg_message_id", "timestamp")
	return &source{
		check: func(_ context.Context, r *Request, _ []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, header)
			if err != nil {
				return "", err
			}
			ts, err := verify.Header(r.Header, "X-Twilio-Email-Event-Webhook-Timestamp")
			if err != nil {
				return "", err
			}
			sig, err := verify.Base64.Decode(value)
			sum := sha256.Sum256(append([]byte(ts), r.Body...))
			if err != nil || !ecdsa.VerifyASN1(parsed.(*ecdsa.PublicKey), sum[:], sig) {
				return "", verify.Errorf(verify.SignatureMismatch, "not by the configured key")
			}
			return "sendgrid", nil
		},
		items: func(r *Request) (items []Item, problem string) {
			list, err := elements(r.Body)
			if err != nil {
				return unread(r, err)
			}
			for _, raw := range list {
				v, _ := fields.from(raw, 0)
				items = append(items, Item{ID: v[0], Type: v[1], Entity: v[2], OccurredRaw: v[3], OccurredAt: moment(v[3]), Body: raw})
			}
			return items, ""
		},
	}, nil
}

func tryAdyen(s Settings) (*source, error) {
	keys, err := keys("secret", s.Secrets, "", verify.Hex.Decode)
	if err != nil {
		return nil, err
	}
	fields := pick("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "amount.value", "amount.currency",
		"eventCode", "success", "additionalData.hmacSignature", "eventDate")
	each := func(r *Request, do func(v []string, raw []byte) error) error {
		var doc struct {
			Items []struct{ NotificationRequestItem json.RawMessage } `json:"notificationItems"`
		}
		if err := json.Unmarshal(r.Body, &doc); err != nil {
			return verify.Errorf(verify.BodyUnreadable, "the items are signed, and they cannot be read")
		}
		for _, it := range doc.Items {
			v, _ := fields.from(it.NotificationRequestItem, 0)
			if err := do(v, it.NotificationRequestItem); err != nil {
				return err
			}
		}
		return nil
	}
	return &source{
		keys: keys,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			return "adyen", each(r, func(v []string, _ []byte) error {
				sig, err := verify.Signature("hmacSignature", v[8], "", verify.Base64, verify.SHA256.Size)
				if err == nil {
					_, err = verify.HMAC(verify.SHA256, keys, r.Now, [][]byte{sig}, []byte(strings.Join(v[:8], ":")))
				}
				return err
			})
		},
		items: func(r *Request) (items []Item, problem string) {
			err := each(r, func(v []string, raw []byte) error {
				items = append(items, Item{ID: v[0] + "|" + v[6] + "|" + v[7], Type: v[6], Entity: firstOf(v[1], v[0]),
					OccurredRaw: v[9], OccurredAt: moment(v[9]), Body: raw})
				return nil
			})
			return items, unreadable(err)
		},
		accepted: func(*Request) *Answer { return plainText(http.StatusOK, "[accepted]") },
	}, nil
}

func trySNS(s Settings) (*source, error) {
	host := regexp.MustCompile(`^sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)
	ours := func(raw string) bool {
		u, err := url.Parse(raw)
		return err == nil && u.Scheme == "https" && host.MatchString(u.Host)
	}
	fields := pick("Type", "MessageId", "TopicArn", "Timestamp", "SigningCertURL", "SignatureVersion", "Signature", "SubscribeURL", "Message", "Subject", "Token")
	names := map[string]int{"Message": 8, "MessageId": 1, "Subject": 9, "SubscribeURL": 7, "Timestamp": 3, "Token": 10, "TopicArn": 2, "Type": 0}
	return &source{
		check: func(ctx context.Context, r *Request, _ []verify.Key) (string, error) {
			v, err := fields.from(r.Body, 0)
			if err != nil {
				return "", verify.Errorf(verify.BodyUnreadable, "%v", err)
			}
			if v[5] != "1" && v[5] != "2" || !ours(v[4]) || !strings.HasSuffix(v[4], ".pem") {
				return "", verify.Errorf(verify.HeaderMalformed, "not a certificate of SNS")
			}
			text, err := fetch(ctx, s.Fetch, http.MethodGet, v[4], "")
			if err != nil {
				return "", err
			}
			block, _ := pem.Decode(text)
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return "", verify.Errorf(verify.Unavailable, "%v", err)
			}
			var signed strings.Builder
			for _, name := range slices.Sorted(maps.Keys(names)) {
				confirms := name == "SubscribeURL" || name == "Token"
				if value := v[names[name]]; value != "" && (!confirms || v[0] != "Notification") {
					signed.WriteString(name + "\n" + value + "\n")
				}
			}
			sig, err := verify.Base64.Decode(v[6])
			if err != nil {
				return "", verify.Errorf(verify.HeaderMalformed, "the signature is not base64")
			}
			digest, key := sha256.Sum256([]byte(signed.String())), cert.PublicKey.(*rsa.PublicKey)
			err = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
			if v[5] == "1" {
				digest := sha1.Sum([]byte(signed.String()))
				err = rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], sig)
			}
			if err != nil {
				return "", verify.Errorf(verify.SignatureMismatch, "not by this certificate")
			}
			return "sns", nil
		},
		shakes: func(r *Request) bool {
			v, _ := fields.from(r.Body, 0b1)
			return v[0] == "SubscriptionConfirmation"
		},
		shake: func(ctx context.Context, r *Request) (*Answer, error) {
			v, _ := fields.from(r.Body, 0)
			if !ours(v[7]) {
				return nil, verify.Errorf(verify.SignatureMismatch, "SubscribeURL is not one of SNS")
			}
			if _, err := fetch(ctx, s.Fetch, http.MethodGet, v[7], ""); err != nil {
				return nil, err
			}
			return &Answer{Status: http.StatusOK}, nil
		},
		items: func(r *Request) ([]Item, string) {
			v, err := fields.from(r.Body, 0b1111)
			return []Item{{ID: v[1], Type: v[0], Entity: v[2], OccurredRaw: v[3], OccurredAt: moment(v[3])}}, unreadable(err)
		},
	}, nil
}

func tryPlaid(s Settings) (*source, error) {
	fields := pick("webhook_type", "webhook_code", "item_id")
	head, claims, jwk := pick("alg", "kid"), pick("iat", "request_body_sha256"), pick("key.x", "key.y")
	return &source{
		check: func(ctx context.Context, r *Request, _ []verify.Key) (string, error) {
			token, err := verify.Header(r.Header, "Plaid-Verification")
			if err != nil {
				return "", err
			}
			parts := strings.Split(token, ".")
			if len(parts) != 3 {
				return "", verify.Errorf(verify.HeaderMalformed, "not a JWT")
			}
			var raw [3][]byte
			for i, p := range parts {
				if raw[i], err = verify.Base64URL.Decode(p); err != nil {
					return "", verify.Errorf(verify.HeaderMalformed, "not a JWT")
				}
			}
			h, _ := head.from(raw[0], 0)
			if h[0] != "ES256" {
				return "", verify.Errorf(verify.HeaderMalformed, "the JWT's algorithm is not ES256")
			}
			// With the account's credentials; the key is then kept by its id.
			doc, err := fetch(ctx, s.Fetch, http.MethodPost, "https://production.plaid.com/webhook_verification_key/get", `{"key_id":"`+h[1]+`"}`)
			if err != nil {
				return "", err
			}
			k, _ := jwk.from(doc, 0)
			x, _ := verify.Base64URL.Decode(k[0])
			y, _ := verify.Base64URL.Decode(k[1])
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
			if err != nil {
				return "", verify.Errorf(verify.Unavailable, "%v", err)
			}
			sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
			if len(raw[2]) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])) {
				return "", verify.Errorf(verify.SignatureMismatch, "not by Plaid's key")
			}
			c, _ := claims.from(raw[1], 0)
			if body := sha256.Sum256(r.Body); c[1] != verify.Hex.Encode(body[:]) {
				return "", verify.Errorf(verify.SignatureMismatch, "the body is not the signed one")
			}
			signed, err := signedAt("iat", c[0], verify.Seconds)
			if err != nil {
				return "", err
			}
			return "plaid", verify.Fresh(signed, r.Now, verify.Both(5*time.Minute))
		},
		items: func(r *Request) ([]Item, string) {
			v, err := fields.from(r.Body, 0)
			return []Item{{Keyless: true, Type: v[0] + "." + v[1], Entity: v[2]}}, unreadable(err)
		},
	}, nil
}

func tryZoom(s Settings) (*source, error) {
	keys, err := textKeys("secret", s.Secrets, "")
	if err != nil {
		return nil, err
	}
	fields := pick("event", "payload.object.id|payload.object.uuid", "event_ts", "payload.plainToken")
	return &source{
		keys: keys,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, "X-Zm-Signature")
			if err != nil {
				return "", err
			}
			sig, err := verify.Signature("X-Zm-Signature", value, "v0=", verify.Hex, verify.SHA256.Size)
			if err != nil {
				return "", err
			}
			_, err = verify.HMAC(verify.SHA256, keys, r.Now, [][]byte{sig}, []byte("v0:"+r.Header.Get("X-Zm-Request-Timestamp")+":"), r.Body)
			return "zoom", err
		},
		shakes: func(r *Request) bool {
			v, _ := fields.from(r.Body, 0b0001)
			return v[0] == "endpoint.url_validation"
		},
		shake: func(_ context.Context, r *Request) (*Answer, error) {
			v, _ := fields.from(r.Body, 0b1000)
			b, err := json.Marshal(map[string]string{"plainToken": v[3], "encryptedToken": verify.Hex.Encode(verify.SHA256.Sum(keys[0].Bytes, []byte(v[3])))})
			return jsonAnswer(string(b)), err
		},
		items: func(r *Request) ([]Item, string) {
			v, err := fields.from(r.Body, 0b0111)
			return []Item{{ID: contentID(r.Body), Derived: true, Type: v[0], Entity: v[1], OccurredRaw: v[2], OccurredAt: moment(v[2])}}, unreadable(err)
		},
	}, nil
}
