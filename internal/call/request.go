package call

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/seawall"
)

// Request is what a call asks of a system.
type Request struct {
	Method  string
	Path    string // below the system's url, with the query; as it is sent
	Headers http.Header
	Body    []byte
}

const (
	maxMethod = 32
	maxPath   = 8 << 10
	maxHeader = 32 << 10 // of all headers together
)

// Safe tells whether a method only looks (RFC 9110, section 9.2.1).
func Safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// check refuses what cannot be sent, or must not be by whoever makes the call.
func (r *Request) check(s *config.System) error {
	if err := checkMethod(r.Method); err != nil {
		return err
	}
	if err := CheckPath(r.Path); err != nil {
		return err
	}
	size := 0
	for name, values := range r.Headers {
		if err := checkHeader(s, name, values); err != nil {
			return err
		}
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > maxHeader {
		return seawall.Errorf(seawall.ErrInvalid, "headers: more than %d bytes", maxHeader)
	}
	return nil
}

func checkMethod(m string) error {
	switch {
	case m == "":
		return seawall.Errorf(seawall.ErrInvalid, "method: missing").WithHint("for example POST")
	case !isToken(m) || len(m) > maxMethod || m == http.MethodConnect || m == http.MethodTrace:
		return seawall.Errorf(seawall.ErrInvalid, "method: %q is no method that can be sent", clip(m))
	case m != strings.ToUpper(m):
		return seawall.Errorf(seawall.ErrInvalid, "method: %q must be in capitals", clip(m)).WithHint("methods are case-sensitive")
	}
	return nil
}

// CheckPath refuses a path that is none, or that would lead out of the system's
// url.
func CheckPath(p string) error {
	bad := func(why string) error {
		return seawall.Errorf(seawall.ErrInvalid, "path: %s", why).WithHint("for example /v1/refunds?expand[]=charge, below the system's url")
	}
	switch {
	case p == "":
		return bad("missing")
	case p[0] != '/':
		return bad("must begin with a slash")
	case strings.HasPrefix(p, "//"):
		return bad("must begin with one slash")
	case len(p) > maxPath:
		return bad("is too long")
	}
	for i := range len(p) {
		if p[i] <= ' ' || p[i] >= 0x7f || p[i] == '#' || p[i] == '\\' {
			return bad("must be escaped: blanks, control characters, #, backslashes and what is not ASCII")
		}
	}
	path, _, _ := strings.Cut(p, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return bad("an escape in it cannot be read")
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(plain, "\\", "/"), "/") {
		// Some servers leave out what follows a semicolon before they climb.
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return bad("must not hold . or .. as a part")
		}
	}
	return nil
}

// ofConnection are the headers that speak of one connection (RFC 9110, section
// 7.6.1), or of how a body is sent over it.
var ofConnection = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
	"Upgrade", "Expect", "Http2-Settings", "Host", "Content-Length",
}

// credentials are the headers that say who asks. The system's own are put on
// when a call is sent.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "Api-Key"}

var keys = []string{"Idempotency-Key", "X-Idempotency-Key"}

func checkHeader(s *config.System, name string, values []string) error {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	no := func(why string) *seawall.Error {
		return seawall.Errorf(seawall.ErrInvalid, "headers: %s %s", clip(name), why)
	}
	switch {
	case !isToken(name):
		return no("is not the name of a header")
	case slices.Contains(ofConnection, canonical):
		return no("belongs to the connection and cannot be set")
	case isCredential(s, canonical):
		return no("is a credential").WithHint("leave it out: the gateway puts on what systems.%s.auth says", s.Name)
	case isKey(s, canonical):
		return no("is the gateway's own").WithHint("send the idempotency key as a header of the request to the gateway; the gateway gives the system one of its own")
	case strings.HasPrefix(canonical, "Seawall-"):
		return no("is the gateway's own")
	}
	for _, v := range values {
		for i := range len(v) {
			if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
				return no("holds a control character")
			}
		}
	}
	return nil
}

// Withheld tells whether a header, by its canonical name, is none that a call may
// bring along.
func Withheld(s *config.System, name string) bool {
	return slices.Contains(ofConnection, name) || isCredential(s, name) || isKey(s, name) || strings.HasPrefix(name, "Seawall-")
}

func isCredential(s *config.System, name string) bool {
	return slices.Contains(credentials, name) || name == AuthHeader(s)
}

func isKey(s *config.System, name string) bool {
	return slices.Contains(keys, name) || name == textproto.CanonicalMIMEHeaderKey(s.Idempotency.Header)
}

// AuthHeader is the header that the system's credential goes into, in its
// canonical form; "" if it has none of its own.
func AuthHeader(s *config.System) string {
	switch a := s.Auth.(type) {
	case config.HeaderKey:
		return textproto.CanonicalMIMEHeaderKey(a.Name)
	case *config.HeaderKey:
		return textproto.CanonicalMIMEHeaderKey(a.Name)
	case config.HMAC:
		return textproto.CanonicalMIMEHeaderKey(a.Header)
	case *config.HMAC:
		return textproto.CanonicalMIMEHeaderKey(a.Header)
	}
	return ""
}

// hash tells one request from another under the same key.
func (r *Request) hash() [16]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.Path), []byte(r.Headers.Get("Content-Type")), r.Body} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return [16]byte(h.Sum(nil)[:16])
}

// PlainPath is the path of a target, without its escapes: what the rules of a
// system's calls go by, however a path is written.
func PlainPath(target string) string {
	path, _, _ := strings.Cut(target, "?")
	if p, err := url.PathUnescape(path); err == nil {
		return p
	}
	return path
}

// kind is the type of the call's event: method and path, bounded.
func (r *Request) kind() string {
	path, _, _ := strings.Cut(r.Path, "?")
	t := r.Method + " " + path
	const most = 200
	if len(t) > most {
		t = t[:most]
	}
	return t
}

// isToken tells whether s is a token (RFC 9110, section 5.6.2), as methods and
// header names are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func clip(s string) string {
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
