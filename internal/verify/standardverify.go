package verify

import (
	"crypto/ed25519"
	"net/http"
	"strings"
	"time"
)

// Standard is the scheme of Standard Webhooks 1.0, with either kind of key.
type Standard struct {
	Prefix string // of the header names: "webhook-", or "svix-"
	Window Window
}

// Verify checks a request. It accepts a v1 signature by one of the secrets or a
// v1a signature by one of the public keys, and ignores other versions. It
// returns the version that fitted and the number of the key within its kind.
func (s Standard) Verify(h http.Header, body []byte, secrets, public []Key, now time.Time) (version string, n int, err error) {
	id, err := Header(h, s.Prefix+"id")
	if err != nil {
		return "", 0, err
	}
	ts, err := Header(h, s.Prefix+"timestamp")
	if err != nil {
		return "", 0, err
	}
	name := s.Prefix + "signature"
	list, err := Header(h, name)
	if err != nil {
		return "", 0, err
	}
	signed, err := ParseTime(ts, Seconds)
	if err != nil {
		return "", 0, Errorf(HeaderMalformed, "the header %stimestamp does not hold whole seconds since 1970", s.Prefix)
	}
	v1, v1a, err := signatures(name, list)
	if err != nil {
		return "", 0, err
	}
	version, n, err = fit(secrets, public, now, v1, v1a, id, ts, body)
	if err != nil {
		return "", 0, err
	}
	return version, n, Fresh(signed, now, s.Window)
}

// fit tries each kind of signature against its kind of key.
func fit(secrets, public []Key, now time.Time, v1, v1a [][]byte, id, ts string, body []byte) (string, int, error) {
	dot := []byte{'.'}
	var failed error
	if len(v1) > 0 && len(secrets) > 0 {
		n, err := HMAC(SHA256, secrets, now, v1, []byte(id), dot, []byte(ts), dot, body)
		if err == nil {
			return "v1", n, nil
		}
		failed = err
	}
	if len(v1a) > 0 && len(public) > 0 {
		n, err := Ed25519(public, now, v1a, standardContent(id, ts, body))
		if err == nil {
			return "v1a", n, nil
		}
		failed = err
	}
	if failed != nil {
		return "", 0, failed
	}
	if len(secrets) > 0 {
		return "", 0, Errorf(HeaderMalformed, "there is no v1 signature, which is what a secret (whsec_…) checks")
	}
	return "", 0, Errorf(HeaderMalformed, "there is no v1a signature, which is what a public key (whpk_…) checks")
}

// signatures sorts a list such as "v1,… v1a,… v2,…" by the versions we know.
func signatures(header, list string) (v1, v1a [][]byte, err error) {
	if strings.Count(list, " ") >= maxPairs {
		return nil, nil, Errorf(HeaderMalformed, "the header %s holds more than %d values", header, maxPairs)
	}
	var bad error
	for one := range strings.FieldsSeq(list) {
		version, digits, _ := strings.Cut(one, ",")
		var sig []byte
		var err error
		switch version {
		case "v1":
			if sig, err = Signature(header, digits, "", Base64, SHA256.Size); err == nil {
				v1 = append(v1, sig)
			}
		case "v1a":
			if sig, err = Signature(header, digits, "", Base64, ed25519.SignatureSize); err == nil {
				v1a = append(v1a, sig)
			}
		}
		if err != nil {
			bad = err
		}
	}
	if len(v1)+len(v1a) == 0 && bad != nil {
		return nil, nil, bad
	}
	return v1, v1a, nil
}
