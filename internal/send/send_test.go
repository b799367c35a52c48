package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/egress"
)

var loopback = egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")})

var limits = Timeouts{Connect: 5 * time.Second, TLS: 5 * time.Second, Header: 30 * time.Second, Whole: 30 * time.Second}

func sender(t testing.TB, o Options) *Sender {
	if o.Policy == nil {
		o.Policy = loopback
	}
	s := New(o)
	t.Cleanup(s.Close)
	return s
}

func to(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// hook is a request like those that we send.
func hook(t testing.TB, to_ string) *Request {
	return &Request{
		Method: "POST", URL: to(t, to_), Body: []byte(`{"a":1}`),
		Header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"dlv_1"}, "Webhook-Id": {"dlv_1"}},
	}
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func trust(srv *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return &tls.Config{RootCAs: pool}
}

func TestAttempt(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			type seen struct {
				r    *http.Request
				body []byte
			}
			got := make(chan seen, 1)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got <- seen{r, body}
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Set-Cookie", "a=b")
				w.Header().Set("X-RateLimit-Remaining", "3")
				w.Header().Set("Retry-After", strings.Repeat("9", 5000))
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, "thanks")
			}))
			srv.EnableHTTP2 = version == "HTTP/2.0"
			srv.StartTLS()
			defer srv.Close()
			s := sender(t, Options{TLS: trust(srv)})

			reply := s.Do(t.Context(), hook(t, srv.URL+"/hooks?a=b"), limits)
			if text(reply) != "" || reply.Response == nil || !reply.Sent || reply.Canceled || reply.Took <= 0 {
				t.Fatalf("%+v", reply)
			}
			in := <-got
			if in.r.Method != "POST" || in.r.URL.String() != "/hooks?a=b" || string(in.body) != `{"a":1}` ||
				in.r.Header.Get("Idempotency-Key") != "dlv_1" || in.r.ContentLength != 7 || in.r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("the server saw %v %v %q %v", in.r.Method, in.r.URL, in.body, in.r.Header)
			}
			r := reply.Response
			if r.Status != 202 || r.Proto != version || string(r.Body) != "thanks" || r.Truncated {
				t.Errorf("%+v", r)
			}
			if r.Headers.Get("X-Ratelimit-Remaining") != "3" || r.Headers.Get("Content-Type") != "text/plain" || r.Headers.Get("Set-Cookie") != "" {
				t.Errorf("kept %v", r.Headers)
			}
			if n := len(r.Headers.Get("Retry-After")); n > maxValue+10 {
				t.Errorf("a header value of %d bytes was kept", n)
			}
		})
	}
}

func TestConnectionsAreKept(t *testing.T) {
	for _, size := range []int{0, 100, 20 << 10, keepBody, keepBody + 1, keepBody + drainBody/2} {
		var conns atomic.Int32
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, size))
		}))
		srv.Config.ConnState = func(_ net.Conn, st http.ConnState) {
			if st == http.StateNew {
				conns.Add(1)
			}
		}
		srv.Start()
		s := sender(t, Options{})
		for range 5 {
			r := s.Do(t.Context(), hook(t, srv.URL), limits)
			if text(r) != "" || len(r.Response.Body) != min(size, keepBody) || r.Response.Truncated != (size > keepBody) {
				t.Fatalf("%d bytes: %q, %d kept, truncated %v", size, text(r), len(r.Response.Body), r.Response.Truncated)
			}
		}
		if n := conns.Load(); n != 1 {
			t.Errorf("%d bytes: %d connections for 5 attempts", size, n)
		}
		srv.Close()
	}
}

func TestRedirectIsAnAnswer(t *testing.T) {
	var n atomic.Int32
	var srv *httptest.Server
	srv = serve(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		http.Redirect(w, r, srv.URL+"/again", http.StatusTemporaryRedirect)
	})
	r := sender(t, Options{}).Do(t.Context(), hook(t, srv.URL), limits)
	if r.Response == nil || r.Response.Status != 307 || r.Response.Headers.Get("Location") != srv.URL+"/again" || n.Load() != 1 {
		t.Errorf("%+v after %d requests", r, n.Load())
	}
}

func TestBodyless(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "DELETE", "POST", "PUT"} {
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if len(r.TransferEncoding) > 0 || r.ContentLength > 0 || r.Method != method {
				t.Errorf("%s came as %s, length %d, %v", method, r.Method, r.ContentLength, r.TransferEncoding)
			}
		})
		r := hook(t, srv.URL)
		r.Method, r.Body = method, nil
		if reply := sender(t, Options{}).Do(t.Context(), r, limits); text(reply) != "" || reply.Response.Status != 200 {
			t.Errorf("%s: %+v", method, reply)
		}
	}
}

func TestNoNameIsAdded(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ua, ok := r.Header["User-Agent"]; ok {
			t.Errorf("%s: %q", r.Proto, ua)
		}
	})
	two := httptest.NewUnstartedServer(h)
	two.EnableHTTP2 = true
	two.StartTLS()
	t.Cleanup(two.Close)
	for _, srv := range []*httptest.Server{serve(t, h), two} {
		o := Options{}
		if srv == two {
			o.TLS = trust(srv)
		}
		if reply := sender(t, o).Do(t.Context(), hook(t, srv.URL), limits); text(reply) != "" || reply.Response.Status != 200 {
			t.Errorf("%+v", reply)
		}
	}
}

func TestProxyIsIgnored(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("went through the proxy") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	tr := sender(t, Options{}).client(limits)
	// The standard library never sends loopback through HTTP_PROXY, so look.
	if tr.Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
}

func TestCanceled(t *testing.T) {
	arrived := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r := sender(t, Options{}).Do(ctx, hook(t, srv.URL), limits)
	if !r.Canceled || !r.Sent || r.Response != nil || text(r) == "" {
		t.Errorf("%+v", r)
	}
	r = sender(t, Options{}).Do(ctx, hook(t, srv.URL), limits)
	if !r.Canceled || r.Sent {
		t.Errorf("after the end: %+v", r)
	}
}

func TestTimeoutsHaveTheirOwnConnections(t *testing.T) {
	s := sender(t, Options{})
	a := limits
	a.Header = time.Second
	b := a
	b.Whole++
	if s.client(a) != s.client(b) {
		t.Error("another time for the whole needs no other transport")
	}
	b.TLS++
	if s.client(a) == s.client(b) {
		t.Error("a transport has one time for the handshake")
	}
}

func TestHeaderIsNotInjected(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Error("it was sent") })
	r := hook(t, srv.URL)
	r.Header["X-A"] = []string{"b\r\nX-C: d"}
	if reply := sender(t, Options{}).Do(t.Context(), r, limits); reply.Sent || text(reply) == "" {
		t.Errorf("%+v", reply)
	}
}

func TestFill(t *testing.T) {
	buf := make([]byte, 4)
	for _, c := range []struct {
		in  io.Reader
		n   int
		err error
	}{
		{strings.NewReader(""), 0, io.EOF},
		{strings.NewReader("abc"), 3, io.EOF},
		{strings.NewReader("abcdef"), 4, nil},
		{io.MultiReader(bytes.NewReader([]byte("ab")), broken{}), 2, io.ErrUnexpectedEOF},
	} {
		if n, err := fill(buf, c.in); n != c.n || err != c.err {
			t.Errorf("%d, %v, want %d, %v", n, err, c.n, c.err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// text is what an attempt says went wrong.
func text(r Reply) string {
	if r.Err == nil {
		return ""
	}
	return r.Err.Error()
}
