package receive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seawall-dev/seawall/internal/provider"
)

func TestChunkedBodyBeyondTheBoundIsRefused(t *testing.T) {
	rc, _, _ := room(t, &scheme{})
	r := httptest.NewRequest(http.MethodPost, "/in/s", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001))))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	rc.ServeHTTP(w, r)
	problem(t, w, 413)
	if n := rc.requests.Load() + rc.bytes.Load(); n != 0 {
		t.Errorf("%d still counted in", n)
	}
}

func TestG8_OverloadIsTurnedAway(t *testing.T) {
	rc, _, c := room(t, &scheme{})
	rc.requests.Store(int64(c.Limits.Requests))
	w := post(rc, "/in/s", "{}", "Id", "1")
	if reason := problem(t, w, 503); reason != "busy" || w.Header().Get("Retry-After") == "" {
		t.Errorf("reason %q, Retry-After %q", reason, w.Header().Get("Retry-After"))
	}
	rc.requests.Store(0)
	if w := post(rc, "/in/s", "{}", "Id", "1"); w.Code != 200 {
		t.Errorf("after the overload: %d", w.Code)
	}
	if n := rc.requests.Load() + rc.bytes.Load(); n != 0 {
		t.Errorf("%d still counted in", n)
	}
}

func TestG8_LargeBodiesShareTheMemory(t *testing.T) {
	rc, _, c := room(t, &scheme{})
	share := c.Limits.Memory / bodyShare
	whole := strings.Repeat("x", int(share)+freeBody)
	for _, size := range []int64{int64(len(whole)), -1} {
		body, held, err := rc.intake(strings.NewReader(whole), size, c.Limits)
		if err != nil || string(body) != whole || held != rc.bytes.Load() || size > 0 && held > share {
			t.Errorf("size %d: %d bytes, %d held of %d: %v", size, len(body), held, share, err)
		}
		if _, held, err := rc.intake(strings.NewReader(whole), size, c.Limits); !errors.Is(err, errBusy) {
			t.Errorf("size %d: one too many: %v", size, err)
		} else {
			rc.bytes.Add(-held)
		}
		small := whole[:freeBody]
		if body, held, err := rc.intake(strings.NewReader(small), freeBody, c.Limits); err != nil || string(body) != small || held != 0 {
			t.Errorf("size %d: a small one beside it: %d held, %v", size, held, err)
		}
		rc.bytes.Store(0)
	}
}

func TestBodyComesWhole(t *testing.T) {
	rc, _, c := room(t, &scheme{})
	for _, n := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, freeBody, freeBody + 1, 3 * freeBody} {
		want := strings.Repeat("y", n)
		for _, size := range []int64{int64(n), -1} {
			got, held, err := rc.intake(iotest.OneByteReader(strings.NewReader(want)), size, c.Limits)
			if err != nil || string(got) != want {
				t.Errorf("%d bytes, announced as %d: got %d, %v", n, size, len(got), err)
			}
			rc.bytes.Add(-held)
		}
		if _, held, err := rc.intake(strings.NewReader(want), int64(n)+1, c.Limits); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of %d: %v", n, n+1, err)
		} else {
			rc.bytes.Add(-held)
		}
	}
}

func TestG8_SlowSendersKeepNobodyOut(t *testing.T) {
	rc, _, c := room(t, &scheme{})
	addr := served(t, rc)
	for range 5 * c.Limits.Requests {
		conn := dial(t, addr)
		if _, err := io.WriteString(conn, "POST /in/s HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{\"a"); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		resp, err := http.Post("http://"+addr+"/in/s", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("a good sender was answered %d", resp.StatusCode)
		}
	}
}

func TestTooLargeIsHeardBySendersInTheMidst(t *testing.T) {
	rc, _, _ := room(t, &scheme{})
	addr := served(t, rc)
	for _, size := range []int{64 << 10, 8 << 20} {
		conn := dial(t, addr)
		body := bytes.Repeat([]byte("x"), size)
		if _, err := fmt.Fprintf(conn, "POST /in/s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(body); err != nil {
			t.Fatalf("while sending: %v", err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 413 ")) {
			t.Errorf("%d bytes: answer %.80q, %v", size, answer, err)
		}
	}
}

func TestSlowBodyIsGivenUp(t *testing.T) {
	rc, l, _ := room(t, &scheme{})
	rc.Now = func() time.Time { return time.Now().Add(-bodyGrace) } // as if it had been waited for
	addr := served(t, rc)
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, "POST /in/s HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) {
		t.Errorf("answer %.80q, %v", answer, err)
	}
	if a := <-l.refused; a.Reason != "body_too_slow" {
		t.Errorf("reason %q", a.Reason)
	}
}

// The headers of a list are stored with each of its events: many events with long
// headers are too much at once.
func TestG8_HeadersOfAListAreCounted(t *testing.T) {
	for _, c := range []struct{ events, header, status int }{{1000, 100, 200}, {1, 60_000, 200}, {1000, 60_000, 431}} {
		rc, l, conf := room(t, &scheme{items: func(*provider.Request) (out []provider.Item, _ string) {
			for i := range c.events {
				out = append(out, provider.Item{ID: fmt.Sprint(i), Type: "t", Body: []byte("{}")})
			}
			return out, ""
		}})
		conf.Limits.Memory = 64 << 20
		w := post(rc, "/in/s", "[]", "Id", "1", "X-Long", strings.Repeat("x", c.header))
		if w.Code != c.status || c.status == 200 && len(l.accepted) != c.events {
			t.Errorf("%d events with %d bytes of headers: %d, %d accepted", c.events, c.header, w.Code, len(l.accepted))
		}
		if n := rc.bytes.Load(); n != 0 {
			t.Errorf("%d bytes stay counted", n)
		}
	}
}

// An item of a long list does not keep the list in memory while it waits.
func TestG8_AnItemDoesNotKeepItsList(t *testing.T) {
	rc, l, _ := room(t, &scheme{items: func(r *provider.Request) ([]provider.Item, string) {
		return []provider.Item{{ID: "1", Type: "t", Body: r.Body[:2]}}, ""
	}})
	post(rc, "/in/s", strings.Repeat("x", 900), "Id", "1")
	if len(l.accepted) != 1 || cap(l.accepted[0].Event.Body) > 100 {
		t.Errorf("%d accepted, with %d bytes kept", len(l.accepted), cap(l.accepted[0].Event.Body))
	}
}
