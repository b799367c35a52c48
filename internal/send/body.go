package send

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

const (
	keepBody  = 64 << 10  // bytes of a response's body that are kept
	drainBody = 256 << 10 // bytes read on, so that the connection can be used again
	drainTime = time.Second
)

var buffers = sync.Pool{New: func() any { return new([keepBody]byte) }}

// bounding ends what is read of a body after a time, unless it is freed.
type bounding func(time.Duration) (free func())

// after is a bounding by what cancels a request.
func after(cancel context.CancelFunc) bounding {
	return func(d time.Duration) func() {
		timer := time.AfterFunc(d, cancel)
		return func() { timer.Stop() }
	}
}

// readBody keeps the beginning of a response's body, and reads on a little, so
// that the connection is at the end of it and can be used again; bound ends
// that. An error means that the body did not end as it should.
func readBody(resp *http.Response, into *seawall.Response, bound bounding) error {
	defer resp.Body.Close()
	if resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	if n := resp.ContentLength; n >= 0 && n <= keepBody {
		buf := make([]byte, n)
		got, err := io.ReadFull(resp.Body, buf)
		into.Body, into.Truncated = buf[:got], err != nil
		return err
	}
	buf := buffers.Get().(*[keepBody]byte)
	defer buffers.Put(buf)
	got, err := fill(buf[:], resp.Body)
	if got > 0 {
		into.Body = append([]byte(nil), buf[:got]...)
	}
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		into.Truncated = true
		return err
	}
	into.Truncated = drain(resp.Body, bound)
	return nil
}

// readWhole keeps up to keep bytes of a response's body.
func readWhole(resp *http.Response, into *seawall.Response, keep int64, bound bounding) error {
	defer resp.Body.Close()
	if resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, keep))
	into.Body, into.Truncated = body, err != nil
	if err == nil && int64(len(body)) == keep {
		into.Truncated = drain(resp.Body, bound)
	}
	return err
}

// Kept is what an attempt keeps of a response that was wanted whole. It may share
// r's headers, which are not changed from then on.
func Kept(r *seawall.Response) *seawall.Response {
	if r == nil {
		return nil
	}
	kept := *r
	kept.Headers = selected(r.Headers)
	if len(r.Body) > keepBody {
		kept.Body, kept.Truncated = bytes.Clone(r.Body[:keepBody]), true
	}
	return &kept
}

// fill reads until the buffer is full (no error), the body ends (io.EOF), or it
// breaks off. It differs from io.ReadFull in not making one of the last two.
func fill(buf []byte, r io.Reader) (n int, err error) {
	for n < len(buf) && err == nil {
		var got int
		got, err = r.Read(buf[n:])
		n += got
	}
	return n, err
}

// drain reads on for a bounded time and length. It tells whether there was
// anything. A body longer than that is dropped with its connection.
func drain(r io.Reader, bound bounding) bool {
	defer bound(drainTime)()
	n, _ := io.CopyN(io.Discard, r, drainBody)
	return n > 0
}
