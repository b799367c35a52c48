package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

const keyHint = `32 random bytes in base64 or hex: "openssl rand -base64 32"`

// sealKeys are those under key or keys, the one that seals first.
func sealKeys(v value) (out []SealKey) {
	o := v.open("seal")
	one, several := o.get("key"), o.get("keys")
	add := func(v value) {
		if k, ok := v.sealKey(); ok {
			out = append(out, k)
		}
	}
	if o.has("key") {
		add(one)
	}
	for _, item := range several.list() {
		add(item)
	}
	switch {
	case o.has("key") && o.has("keys"):
		several.failKey("several go into keys, the newest first", "beside key")
	case o.node != nil && !o.has("key") && !o.has("keys"), o.has("keys") && several.given() && len(several.list()) == 0:
		v.failKey(sealHint, "has no key")
	}
	return out
}

func (v value) sealKey() (k SealKey, ok bool) {
	noted := len(v.r.problems)
	s := v.secret()
	if s == "" || len(v.r.problems) > noted {
		return k, false
	}
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if b, err := decode(s); err == nil && len(b) == len(k.Bytes) {
			copy(k.Bytes[:], b)
			// What a key is called says nothing about it.
			id := sha256.Sum256(append([]byte("seawall seal key "), b...))
			k.ID = hex.EncodeToString(id[:4])
			return k, true
		}
	}
	v.fail(keyHint, "what it refers to is not a key")
	return k, false
}
