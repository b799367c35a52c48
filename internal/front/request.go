package front

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// plainBody bounds the body of a plain request: so much is taken in even if the
// handler does not want it.
const plainBody = 256 << 10

// plainFields bounds the lines of a plain request's header, each of which takes
// more memory than it has bytes.
const plainFields = 100

// parse reads the header of a plain request, which is the first size bytes of b.
//
// Plain is what nearly every webhook is: a POST over HTTP/1.1 with a length, and
// nothing in it that two readers could understand in two ways (RFC 9112). Whatever
// else it may be, in order or not, is for net/http to read and to answer. What
// parse takes, http.ReadRequest reads in the same way.
func parse(b []byte) (r *http.Request, size int, plain bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0, false
	}
	size = end + 4
	first, rest, _ := strings.Cut(string(b[:end+2]), "\r\n")
	target, ok := strings.CutPrefix(first, "POST ")
	if !ok {
		return nil, 0, false
	}
	if target, ok = strings.CutSuffix(target, " HTTP/1.1"); !ok || !isTarget(target) {
		return nil, 0, false
	}
	at, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, 0, false
	}
	r = &http.Request{
		Method: http.MethodPost, URL: at, RequestURI: target,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody,
	}
	if !fields(r, rest) {
		return nil, 0, false
	}
	return r, size, true
}

// isTarget tells whether s is a path, perhaps with a query, of characters that
// need no second look.
func isTarget(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

// fields reads the lines of a header, if all of them are plain.
func fields(r *http.Request, lines string) bool {
	n := strings.Count(lines, "\n")
	if n > plainFields {
		return false
	}
	r.Header = make(http.Header, n)
	values := make([]string, n)
	length := ""
	for i := 0; lines != ""; i++ {
		var line string
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return false
		}
		value = textproto.TrimString(value)
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Host":
			if r.Host != "" || !isHost(value) {
				return false
			}
			r.Host = value
			continue
		case "Content-Length":
			if r.Header[name] != nil {
				return false
			}
			length = value
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Pragma":
			return false
		}
		if before := r.Header[name]; before != nil {
			r.Header[name] = append(before, value)
			continue
		}
		values[i] = value
		r.Header[name] = values[i : i+1 : i+1]
	}
	var err error
	r.ContentLength, err = strconv.ParseInt(length, 10, 64)
	return err == nil && isDigit(length[0]) && r.ContentLength <= plainBody && r.Host != ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isHost tells whether s is a name or an address, perhaps with a port.
func isHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c), 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte("-._:[]", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
