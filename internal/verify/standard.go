package verify

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Prefixes of key material in Standard Webhooks 1.0.
const (
	SecretPrefix  = "whsec_" // symmetric secret, signatures v1
	PublicPrefix  = "whpk_"  // Ed25519 public key, signatures v1a
	PrivatePrefix = "whsk_"  // Ed25519 private key, signatures v1a
)

// StandardKey decodes a Standard Webhooks secret: base64 of the key, with or
// without the prefix "whsec_". The error says what is wrong with its form and
// never quotes it.
func StandardKey(secret string) ([]byte, error) {
	text := strings.TrimPrefix(secret, SecretPrefix)
	if strings.HasPrefix(text, PublicPrefix) || strings.HasPrefix(text, PrivatePrefix) {
		return nil, errors.New("it is half of an Ed25519 key pair, not a shared secret (whsec_…)")
	}
	key, err := decodeBase64(text)
	if err != nil {
		return nil, errors.New("it is not base64 after the prefix whsec_")
	}
	if len(key) == 0 {
		return nil, errors.New("it is empty")
	}
	return key, nil
}

// StandardPublicKey decodes a Standard Webhooks public key: the prefix "whpk_"
// and base64 of 32 bytes.
func StandardPublicKey(s string) (ed25519.PublicKey, error) {
	if strings.HasPrefix(s, PrivatePrefix) {
		return nil, errors.New("it is the private key (whsk_…), which only the sender should hold")
	}
	key, err := decodeBase64(strings.TrimPrefix(s, PublicPrefix))
	if err != nil {
		return nil, errors.New("it is not base64 after the prefix whpk_")
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, errors.New("it does not hold 32 bytes, as an Ed25519 public key does")
	}
	return key, nil
}

// StandardPrivateKey decodes a Standard Webhooks private key: the prefix
// "whsk_" and base64 of a 32-byte seed, or of seed and public key together.
func StandardPrivateKey(s string) (ed25519.PrivateKey, error) {
	key, err := decodeBase64(strings.TrimPrefix(s, PrivatePrefix))
	if err != nil {
		return nil, errors.New("it is not base64 after the prefix whsk_")
	}
	switch len(key) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(key), nil
	case ed25519.PrivateKeySize:
		return ed25519.NewKeyFromSeed(key[:ed25519.SeedSize]), nil
	}
	return nil, errors.New("it does not hold 32 or 64 bytes, as an Ed25519 private key does")
}

// SignStandard makes the value of the header webhook-signature for an outgoing
// delivery: one signature for each secret, in their order, separated by spaces,
// so that a receiver can verify with either while a secret is being changed.
// A secret with the prefix "whsk_" makes a v1a signature, any other a v1.
//
// id goes into webhook-id and at, in whole seconds, into webhook-timestamp. The
// error says which secret has a wrong form; a configuration that has passed
// [StandardKey] never meets it.
func SignStandard(secrets []string, id string, at time.Time, body []byte) (string, error) {
	if len(secrets) == 0 {
		return "", errors.New("no secret to sign with")
	}
	ts := strconv.FormatInt(at.Unix(), 10)
	out := make([]byte, 0, 48*len(secrets)) // a v1 and a space
	for i, s := range secrets {
		if i > 0 {
			out = append(out, ' ')
		}
		if strings.HasPrefix(s, PrivatePrefix) {
			key, err := StandardPrivateKey(s)
			if err != nil {
				return "", errors.New("secret " + strconv.Itoa(i+1) + ": " + err.Error())
			}
			out = base64.StdEncoding.AppendEncode(append(out, "v1a,"...), ed25519.Sign(key, standardContent(id, ts, body)))
			continue
		}
		key, err := StandardKey(s)
		if err != nil {
			return "", errors.New("secret " + strconv.Itoa(i+1) + ": " + err.Error())
		}
		out = base64.StdEncoding.AppendEncode(append(out, "v1,"...), SHA256.Sum(key, []byte(id+"."+ts+"."), body))
	}
	return string(out), nil
}

// standardContent is what both versions sign: "{id}.{timestamp}.{body}".
func standardContent(id, ts string, body []byte) []byte {
	b := make([]byte, 0, len(id)+len(ts)+len(body)+2)
	b = append(b, id...)
	b = append(b, '.')
	b = append(b, ts...)
	b = append(b, '.')
	return append(b, body...)
}

// decodeBase64 reads standard base64, padded or not, without line breaks.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
