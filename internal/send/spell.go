package send

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"
)

// maxLetter bounds a request that is written before anything is read: it fits what
// the kernel takes of a connection on which nothing is under way, so that a server
// that answers early, or does not read, holds nobody up.
const maxLetter = 16 << 10

var letters = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// spell appends a request as HTTP/1.1 writes it. It does so only for what is plain
// in every respect; ok is false for the rest, which net/http writes, or refuses.
func spell(b []byte, r *Request) (_ []byte, ok bool) {
	if !canLook || r.URL.Scheme != "http" || r.URL.Opaque != "" || !plainHost(r.URL) || len(r.Body) > maxLetter {
		return b, false
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return b, false
	}
	uri := r.URL.RequestURI()
	for i := range len(uri) {
		if uri[i] <= ' ' || uri[i] == 0x7f {
			return b, false
		}
	}
	b = append(append(append(append(b, r.Method...), ' '), uri...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, r.URL.Host...), "\r\n"...)
	for name, values := range r.Header {
		if len(values) == 0 {
			continue
		}
		if !httpguts.ValidHeaderFieldName(name) || special(name) && (len(values) > 1 || name != "User-Agent") {
			return b, false
		}
		if name == "User-Agent" && values[0] == "" {
			continue
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return b, false
			}
			b = append(append(b, name...), ": "...)
			b = append(append(b, textproto.TrimString(v)...), "\r\n"...)
		}
	}
	if len(r.Body) > 0 || r.Method != http.MethodDelete {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(r.Body)), 10), "\r\n"...)
	}
	b = append(append(b, "\r\n"...), r.Body...)
	return b, len(b) <= maxLetter
}

// special tells of a header whether net/http has something of its own to say to it.
func special(name string) bool {
	for _, s := range specials {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

var specials = [...]string{"Te", "Host", "Expect", "Trailer", "Upgrade", "Connection", "Keep-Alive", "User-Agent",
	"Content-Length", "Proxy-Connection", "Transfer-Encoding"}

// plainHost tells whether a URL's host is sent, and called, as it stands.
func plainHost(u *url.URL) bool {
	h := u.Host
	if h == "" || h[0] == ':' || h[len(h)-1] == ':' {
		return false
	}
	for i := range len(h) {
		switch c := h[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}
