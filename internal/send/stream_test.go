package send

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// What is bounded is the time up to the header, not the body.
func TestStreamOutlivesItsTimeout(t *testing.T) {
	more := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-more
		io.WriteString(w, "late")
	})
	l := limits
	l.Whole = 200 * time.Millisecond
	resp, reply := sender(t, Options{}).Stream(t.Context(), hook(t, srv.URL), l)
	if resp == nil || reply.Response.Status != 200 || !reply.Sent {
		t.Fatalf("%+v", reply)
	}
	time.AfterFunc(2*l.Whole, func() { close(more) })
	b, err := io.ReadAll(resp.Body)
	if string(b) != "late" || err != nil || resp.Body.Close() != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStreamWithoutAnAnswer(t *testing.T) {
	gone := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(gone)
	})
	l := limits
	l.Whole = 100 * time.Millisecond
	resp, reply := sender(t, Options{}).Stream(t.Context(), hook(t, srv.URL), l)
	if resp != nil || reply.Canceled || !reply.Sent || text(reply) != "timeout after 100ms waiting for the response header" {
		t.Errorf("%+v", reply)
	}
	<-gone
}
