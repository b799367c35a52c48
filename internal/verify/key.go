package verify

import "time"

// Key is one secret or public key, decoded to what its scheme computes with.
type Key struct {
	Bytes   []byte
	Expires time.Time // zero: never
}

// Match returns the number, from 1, of the first key that is in force and for
// which ok holds. If only a key whose time is over fits, the error is
// [SecretExpired]; if none fits, [SignatureMismatch]. An empty key never fits:
// anyone could sign with it.
func Match(keys []Key, now time.Time, ok func(key []byte) bool) (int, error) {
	expired := 0
	for i, k := range keys {
		if len(k.Bytes) == 0 || !ok(k.Bytes) {
			continue
		}
		if k.Expires.IsZero() || now.Before(k.Expires) {
			return i + 1, nil
		}
		expired = i + 1
	}
	if expired > 0 {
		return 0, Errorf(SecretExpired, "secret %d of %d fits, but its time ended at %s",
			expired, len(keys), keys[expired-1].Expires.UTC().Format(time.RFC3339))
	}
	switch len(keys) {
	case 0:
		return 0, Errorf(SignatureMismatch, "no secret is configured")
	case 1:
		return 0, Errorf(SignatureMismatch, "it was not made with the configured secret over this request")
	}
	return 0, Errorf(SignatureMismatch, "it was not made with any of the %d configured secrets over this request", len(keys))
}
