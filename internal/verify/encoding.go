package verify

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// Encoding is how bytes are written in a header or a setting.
type Encoding string

// The encodings that providers use.
const (
	Hex       Encoding = "hex"
	Base64    Encoding = "base64"    // RFC 4648, section 4, padded
	Base64URL Encoding = "base64url" // RFC 4648, section 5, padded or not
	Text      Encoding = "text"      // the bytes themselves; for secrets only
)

var errEncoding = errors.New("not in its encoding")

// Decode reads s. Line breaks are not skipped and unused bits must be zero: a
// signature has one spelling.
func (e Encoding) Decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errEncoding
	}
	switch e {
	case Hex:
		return hex.DecodeString(s)
	case Base64:
		return base64.StdEncoding.Strict().DecodeString(s)
	case Base64URL:
		return base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(s, "="))
	case Text:
		return []byte(s), nil
	}
	return nil, errEncoding
}

// Encode writes b as Decode reads it.
func (e Encoding) Encode(b []byte) string {
	switch e {
	case Hex:
		return hex.EncodeToString(b)
	case Base64:
		return base64.StdEncoding.EncodeToString(b)
	case Base64URL:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return string(b)
}

// Signature decodes one signature from a header: the prefix, then size bytes in
// the encoding. The error is [HeaderMalformed]; header names it.
func Signature(header, value, prefix string, e Encoding, size int) ([]byte, error) {
	digits, ok := strings.CutPrefix(value, prefix)
	if !ok {
		return nil, Errorf(HeaderMalformed, "the header %s does not begin with %q", header, prefix)
	}
	sig, err := e.Decode(digits)
	if err != nil {
		return nil, Errorf(HeaderMalformed, "the header %s does not hold %s", header, e)
	}
	if len(sig) != size {
		return nil, Errorf(HeaderMalformed, "the header %s holds %d bytes in %s, not %d: it is cut short, or of another algorithm or encoding",
			header, len(sig), e, size)
	}
	return sig, nil
}
