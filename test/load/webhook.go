package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// tolerance is how far a webhook's time may be off (Standard Webhooks 1.0,
// "Verifying webhook authenticity").
const tolerance = 5 * time.Minute

// VerifyWebhook checks a Standard Webhooks v1 signature as a consumer would,
// and shares no code with the gateway.
func VerifyWebhook(secret string, h http.Header, body []byte, now time.Time) error {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	if id == "" {
		return errors.New("no webhook-id")
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("webhook-timestamp %q", stamp)
	}
	if off := now.Sub(time.Unix(at, 0)).Abs(); off > tolerance {
		return fmt.Errorf("webhook-timestamp off by %s", off)
	}
	want, err := webhookSum(secret, id, stamp, body)
	if err != nil {
		return err
	}
	for _, one := range strings.Fields(h.Get("webhook-signature")) {
		version, sum, _ := strings.Cut(one, ",")
		got, err := base64.StdEncoding.DecodeString(sum)
		if version == "v1" && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("webhook-signature does not match")
}

// SignWebhook sets the headers that VerifyWebhook checks: for stand-ins of the
// gateway.
func SignWebhook(secret string, h http.Header, id string, body []byte, now time.Time) error {
	stamp := strconv.FormatInt(now.Unix(), 10)
	sum, err := webhookSum(secret, id, stamp, body)
	if err != nil {
		return err
	}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(sum))
	return nil
}

func webhookSum(secret, id, stamp string, body []byte) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	return mac.Sum(nil), nil
}
