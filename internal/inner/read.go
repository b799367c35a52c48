package inner

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/seawall"
)

// read lets a request through that only looks: nothing is kept of it. The
// system's limits and its breaker hold all the same.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, s *config.System, req *call.Request, wait time.Duration) {
	if err := call.CheckPath(req.Path); err != nil {
		h.refuse(w, r, badRequest(err))
		return
	}
	system := h.System(s.Name)
	to, err := Join(s.URL, req.Path)
	if err != nil {
		h.refuse(w, r, badRequest(seawall.Errorf(seawall.ErrInvalid, "the path cannot be joined to the system's url")))
		return
	}
	if system == nil { // a reload is under way
		h.refuse(w, r, seawall.Errorf(seawall.ErrUnavailable, "system %s cannot be asked at this moment", s.Name))
		return
	}
	// The client's patience ends the wait for leave and for the header; what
	// flows after that may take as long as it flows.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	timer := time.AfterFunc(wait, cancel)
	resp, reply, err := system.Read(ctx, &send.Request{Method: req.Method, URL: to, Header: req.Headers, Body: req.Body})
	inTime := timer.Stop()
	if resp == nil || !inTime {
		if resp != nil {
			resp.Body.Close()
		}
		if until, open := system.Open(); open && err != nil {
			h.closed(w, s.Name, until)
			return
		}
		h.unread(w, s.Name, reply, err, inTime)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		// Given on, it would have the client take our next answers for something else.
		problem.New(http.StatusBadGateway, "system "+s.Name+" answered HTTP 101: other protocols do not pass through").Write(w)
		return
	}
	h.stream(w, r, resp, cancel)
}

// Join puts a path and its query, as they are sent, below a system's url.
func Join(base *url.URL, target string) (*url.URL, error) {
	path, query, _ := strings.Cut(target, "?")
	u, err := url.Parse(base.Scheme + "://" + base.Host + strings.TrimSuffix(base.EscapedPath(), "/") + path)
	if err != nil {
		return nil, err
	}
	if u.RawQuery = query; base.RawQuery != "" {
		u.RawQuery = strings.TrimSuffix(base.RawQuery+"&"+query, "&")
	}
	return u, nil
}

// closed answers where the breaker is open.
func (h *Handler) closed(w http.ResponseWriter, name string, until time.Time) {
	after := max(1, int(until.Sub(h.Now()).Seconds()+0.999))
	w.Header().Set("Retry-After", strconv.Itoa(after))
	p := problem.New(http.StatusServiceUnavailable, "system "+name+" is left alone for a while: it kept failing")
	p.Hint = "seawall systems shows why"
	p.Write(w)
}

// unread answers where no answer came.
func (h *Handler) unread(w http.ResponseWriter, name string, reply send.Reply, err error, inTime bool) {
	switch {
	case err != nil: // it was not asked
		problem.New(http.StatusServiceUnavailable, "system "+name+" is busy: its limits left no room in time").Write(w)
	case !inTime || reply.Err == nil:
		problem.New(http.StatusGatewayTimeout, "system "+name+" did not answer in time").Write(w)
	default:
		problem.New(http.StatusBadGateway, "system "+name+": "+reply.Err.Error()).Write(w)
	}
}

// stallTime is how long a body that passes through may stand still.
const stallTime = 60 * time.Second

// stream gives a response on as it comes.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, resp *http.Response, cancel context.CancelFunc) {
	w.Header().Del("Cache-Control")
	w.Header().Del("X-Content-Type-Options")
	copyHeaders(w.Header(), resp.Header)
	if _, ok := resp.Header["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil
	}
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
	if r.Method == http.MethodHead || bodyless(resp.StatusCode) {
		return
	}
	c := http.NewResponseController(w)
	if resp.ContentLength < 0 {
		_ = c.Flush() // the body may begin much later
	}
	stalled := time.AfterFunc(stallTime, cancel)
	defer stalled.Stop()
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			stalled.Reset(stallTime)
			_ = c.SetWriteDeadline(time.Now().Add(writeTime))
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			if resp.ContentLength < 0 {
				_ = c.Flush()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return
		default:
			panic(http.ErrAbortHandler) // cut off, for the client to see that it is not whole
		}
	}
}
