package system

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/send"
)

// wire lets a library send by our Sender: through the guarded dialer, bounded,
// and with errors in plain words.
type wire struct {
	do    doer
	agent http.Header
}

// doer makes one request, like [send.Sender.Do].
type doer func(ctx context.Context, r *send.Request, limits send.Timeouts) send.Reply

// wireTime bounds a request to a token endpoint.
var wireTime = send.Timeouts{Connect: 5 * time.Second, TLS: 5 * time.Second, Whole: 15 * time.Second}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	h := r.Header.Clone()
	for name, values := range w.agent {
		h[name] = values
	}
	reply := w.do(r.Context(), &send.Request{Method: r.Method, URL: r.URL, Header: h, Body: body}, wireTime)
	switch {
	case reply.Err != nil:
		return nil, reply.Err
	case reply.Response.Truncated:
		return nil, errors.New("the response is too long")
	}
	return &http.Response{
		Status: http.StatusText(reply.Response.Status), StatusCode: reply.Response.Status, Proto: reply.Response.Proto,
		Header: reply.Response.Headers, Body: io.NopCloser(bytes.NewReader(reply.Response.Body)),
		ContentLength: int64(len(reply.Response.Body)), Request: r,
	}, nil
}
