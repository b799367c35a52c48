package shape

import (
	"net/http"
	"net/textproto"
	"strings"
)

// ofConnection are the headers that speak of one connection, not of the message
// (RFC 9110, section 7.6.1), or that ask for something which only who wrote the
// request can take.
var ofConnection = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Expect": true, "Http2-Settings": true,
}

// notForwarded are also left out of a forwarded original: the next request has
// its own, and the answer is for us to read.
var notForwarded = map[string]bool{"Host": true, "Content-Length": true, "Accept-Encoding": true}

// forward copies the headers of the original, but for those of its connection,
// for credentials, of which only a placeholder is stored, and for those that
// pass for ours: a sender must not be able to write them.
func forward(out, original http.Header) {
	named := map[string]bool{}
	for _, v := range original["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			named[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range original {
		switch {
		case ofConnection[name], notForwarded[name], named[name], strings.HasPrefix(name, "Seawall-"):
		case len(values) == 1 && values[0] == redacted:
		default:
			out[name] = values // shared, never changed
		}
	}
}
