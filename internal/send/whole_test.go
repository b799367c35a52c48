package send

import (
	"bytes"
	"net/http"
	"testing"
)

func TestWholeAnswer(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 100<<10)
	srv := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Own", "kept")
		_, _ = w.Write(body)
	}))
	for _, c := range []struct {
		keep      int64
		len       int
		truncated bool
	}{{0, 64 << 10, true}, {1 << 20, 100 << 10, false}, {100 << 10, 100 << 10, false}, {70 << 10, 70 << 10, true}} {
		r := hook(t, srv.URL)
		r.Keep = c.keep
		got := sender(t, Options{}).Do(t.Context(), r, Timeouts{})
		if got.Err != nil || len(got.Response.Body) != c.len || got.Response.Truncated != c.truncated {
			t.Errorf("keep %d: %d bytes, %v, %v", c.keep, len(got.Response.Body), got.Response.Truncated, got.Err)
		}
		if whole := got.Response.Headers.Get("X-Own") == "kept"; whole != (c.keep > 0) {
			t.Errorf("keep %d: headers %v", c.keep, got.Response.Headers)
		}
		kept := Kept(got.Response)
		if len(kept.Body) > 64<<10 || kept.Headers.Get("X-Own") != "" || !kept.Truncated && c.len > 64<<10 {
			t.Errorf("keep %d: an attempt keeps %d bytes, %v", c.keep, len(kept.Body), kept.Headers)
		}
		if c.keep > 0 && got.Response.Headers.Get("X-Own") == "" {
			t.Error("the answer's headers were changed")
		}
	}
}
