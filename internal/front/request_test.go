package front

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

var plain = []string{
	"POST /in/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
	"POST /in/a%2Fb/?x=%2f&y HTTP/1.1\r\nhost: [::1]:8080\r\ncontent-length:0\r\n\r\n",
	"POST //x HTTP/1.1\r\nHost: a_b.c-d:80\r\nContent-Length: \t 007 \t\r\nConnection: Keep-Alive\r\nX: \r\n\r\n1234567",
	"POST / HTTP/1.1\r\nHost: a\r\nx-a: 1\r\nX-A:2\r\nX-a: \x80ü\r\nContent-Length: 1\r\nX-A: 4\r\n\r\n1",
}

var unusual = []string{
	"",
	"POST /",
	"\r\n\r\n",
	"POST / HTTP/1.1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n", // cut off
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / http/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST  / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /a b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /a\x7f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /a#b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST /% HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST http://b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n12",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n1234567890",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nX: 1\r\n y\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nX\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\n: x\r\nContent-Length: 1\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: keep-alive, close\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTrailer: X\r\n\r\n1",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nPragma: no-cache\r\n\r\n1",
}

// A request that two readers could understand in two ways is left to net/http.
func TestWhatIsPlain(t *testing.T) {
	for _, s := range plain {
		if _, size, ok := parse([]byte(s)); !ok || size != strings.Index(s, "\r\n\r\n")+4 {
			t.Errorf("%q: %d bytes of header, plain %v", s, size, ok)
		}
	}
	for _, s := range unusual {
		if r, _, ok := parse([]byte(s)); ok {
			t.Errorf("%q: read as plain: %+v", s, r)
		}
	}
}

// What parse takes is read by the standard library in the same way, to the byte. What
// only its server checks is for TestAnswersAreThoseOfNetHTTP.
func FuzzParse(f *testing.F) {
	for _, s := range append(plain, unusual...) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, size, ok := parse(b)
		if !ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		want, err := http.ReadRequest(in)
		if err != nil {
			t.Fatalf("net/http does not take it: %v", err)
		}
		if !reflect.DeepEqual(r.Header, want.Header) {
			t.Errorf("header %q, by net/http %q", r.Header, want.Header)
		}
		if !reflect.DeepEqual(r.URL, want.URL) {
			t.Errorf("URL %+v, by net/http %+v", r.URL, want.URL)
		}
		type of struct {
			method, proto, host, target string
			length                      int64
			close                       bool
			coding, trailer             int
		}
		describe := func(r *http.Request) of {
			return of{r.Method, r.Proto, r.Host, r.RequestURI, r.ContentLength, r.Close, len(r.TransferEncoding), len(r.Trailer)}
		}
		if got, want := describe(r), describe(want); got != want {
			t.Errorf("%+v, by net/http %+v", got, want)
		}
		body, _ := io.ReadAll(want.Body)
		if rest := b[size:]; !bytes.HasPrefix(rest, body) || len(body) < len(rest) && len(body) != int(r.ContentLength) {
			t.Errorf("net/http reads the body %q of %q", body, rest)
		}
	})
}
