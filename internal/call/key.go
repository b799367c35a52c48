package call

import (
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// ParseKey reads the header Idempotency-Key: a string as structured fields write
// it (RFC 9651, section 3.3.3), as the draft demands, or the bare text that most
// clients send. "" and no error: there is none.
func ParseKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", badKey("the header came %d times", len(values))
	}
	key := strings.Trim(values[0], " \t")
	if strings.HasPrefix(key, `"`) {
		var err error
		if key, err = unquote(key); err != nil {
			return "", err
		}
	}
	switch {
	case key == "":
		return "", badKey("it is empty")
	case len(key) > maxKey:
		return "", badKey("it is longer than %d bytes", maxKey)
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", badKey("it may hold printable ASCII only")
		}
	}
	return key, nil
}

// unquote reads a structured field's string. Parameters behind it are none of
// the draft's, and are refused.
func unquote(s string) (string, error) {
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			if i != len(s)-1 {
				return "", badKey("something follows the closing quote")
			}
			return out.String(), nil
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", badKey("only quotes and backslashes may follow a backslash")
			}
			out.WriteByte(s[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", badKey("the closing quote is missing")
}

func badKey(format string, args ...any) error {
	return seawall.Errorf(seawall.ErrInvalid, "Idempotency-Key: "+format, args...).
		WithHint(`one for each thing that is to happen once, the same when it is tried again; for example "order-1001-charge"`)
}

// SourceID is what a call's duplicates are recognised by. No system is named with
// a slash, and the principal is written so that it has none.
func SourceID(system, principal, key string) string {
	return system + "/" + url.PathEscape(principal) + "/" + key
}

func splitID(id string) (system, principal, key string) {
	system, rest, _ := strings.Cut(id, "/")
	principal, key, _ = strings.Cut(rest, "/")
	if p, err := url.PathUnescape(principal); err == nil {
		principal = p
	}
	return system, principal, key
}
