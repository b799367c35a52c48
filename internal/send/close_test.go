package send

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"testing"
	"time"
)

// A reload closes the idle connections of the sender before it. net/http takes one
// for idle a moment before whoever asked has the answer: his attempt would end as
// unknown, though the server did it and said so.
func TestG10_ClosingIdleConnectionsCutsNothingOff(t *testing.T) {
	const rounds = 50
	closed := make(chan struct{}, rounds)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	srv.StartTLS() // over net/http's transport
	defer srv.Close()
	s := sender(t, Options{TLS: trust(srv)})
	closing := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		PutIdleConn: func(error) {
			s.Close()
			for range 100 {
				runtime.Gosched()
			}
		},
	})
	for n := range rounds {
		if r := s.Do(closing, hook(t, srv.URL), limits); r.Err != nil {
			t.Fatalf("%d: %v", n, r.Err)
		}
	}
	for n := range rounds {
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d connections are closed", n, rounds)
		}
	}
}
