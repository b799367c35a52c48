// Package seal encrypts what the store must keep secret, such as refresh tokens
// whose successors no configuration can know: AES-256-GCM, with the secret's name
// as associated data, so that a row put under another name does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/seawall-dev/seawall/seawall"
)

// Key is a key and the name it goes by in stored rows.
type Key struct {
	ID    string
	Bytes [32]byte
}

// Box seals with its first key and opens with all. It is immutable and safe for
// concurrent use; nil, or without keys, it can do neither.
type Box struct {
	first string
	by    map[string]cipher.AEAD
}

// New makes a Box of keys, the one to seal with first.
func New(keys []Key) *Box {
	b := &Box{by: make(map[string]cipher.AEAD, len(keys))}
	for i, k := range keys {
		if i == 0 {
			b.first = k.ID
		}
		block, err := aes.NewCipher(k.Bytes[:])
		if err != nil {
			panic("seal: " + err.Error()) // only for keys of another length
		}
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic("seal: " + err.Error())
		}
		b.by[k.ID] = gcm
	}
	return b
}

// Key is the id of the key that Seal uses; "" if there is none.
func (b *Box) Key() string {
	if b == nil {
		return ""
	}
	return b.first
}

// Seal encrypts a secret for its name. It fails only if there is no key.
func (b *Box) Seal(name string, plain []byte) (key string, sealed []byte, err error) {
	if b == nil || len(b.by) == 0 {
		return "", nil, seawall.Errorf(seawall.ErrInvalid, "there is no key to seal %q with", name).
			WithHint("give the configuration a seal key")
	}
	return b.first, b.by[b.first].Seal(nil, nil, plain, data(name, b.first)), nil
}

// Open decrypts what was sealed for the name by a key of that id.
func (b *Box) Open(name, key string, sealed []byte) ([]byte, error) {
	if b == nil || b.by[key] == nil {
		return nil, seawall.Errorf(seawall.ErrInvalid, "%q is sealed with the key %q, which the configuration does not have", name, key).
			WithHint("keep a seal key, after the new one, until “seawall seal rotate” has been run")
	}
	plain, err := b.by[key].Open(nil, nil, sealed, data(name, key))
	if err != nil {
		return nil, seawall.Errorf(seawall.ErrInvalid, "%q does not open with the key %q: the key has other bytes, or the row was changed", name, key)
	}
	return plain, nil
}

// data binds a secret to its name and to the name of its key.
func data(name, key string) []byte {
	return []byte("seawall/1\x00" + key + "\x00" + name)
}
