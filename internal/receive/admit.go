package receive

import (
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/seawall-dev/seawall/internal/config"
)

const (
	// bodyShare is the part of the memory limit that bodies being received may
	// take.
	bodyShare = 4
	// freeBody is how much of each body is not counted against that share: those
	// who send much cannot keep out those who send little. With the bound on
	// connections it stays bounded itself.
	freeBody = 64 << 10
	// firstRead is what a body is given room for before any of it has come.
	firstRead = 4 << 10
)

var errBusy = errors.New("too much is being received at once")

// intake reads a body of size bytes, or to the end if size is negative. Room is
// made, and counted against the share, as the bytes arrive: a sender that
// announces much and sends nothing holds nothing. held must be given back to
// release in any case.
func (rc *Receiver) intake(r io.Reader, size int64, l config.Limits) (body []byte, held int64, err error) {
	room := int64(firstRead)
	if size >= 0 {
		room = min(size, freeBody)
	}
	body = make([]byte, 0, room)
	for {
		if size >= 0 && int64(len(body)) == size {
			return body, held, nil
		}
		if len(body) == cap(body) {
			grow := max(int64(cap(body)), firstRead)
			if size >= 0 {
				grow = min(grow, size-int64(len(body)))
			}
			if over := int64(cap(body)) + grow - freeBody - held; over > 0 {
				if !rc.hold(over, l) {
					return nil, held, errBusy
				}
				held += over
			}
			body = slices.Grow(body, int(grow))
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF && size >= 0 && int64(len(body)) < size:
			return nil, held, io.ErrUnexpectedEOF
		case err == io.EOF:
			return body, held, nil
		case err != nil:
			return nil, held, err
		}
	}
}

// hold counts n bytes against the share, if there is room for them; they must be given
// back.
func (rc *Receiver) hold(n int64, l config.Limits) bool {
	if n > 0 && rc.bytes.Add(n) > l.Memory/bodyShare {
		rc.bytes.Add(-n)
		return false
	}
	return true
}

// weight is about what headers take where they are stored.
func weight(h http.Header) (n int64) {
	for name, values := range h {
		for _, v := range values {
			n += int64(len(name) + len(v) + 4)
		}
	}
	return n
}

// enter counts in a request whose body is there, if there is room for one more
// at work; what enters must leave.
func (rc *Receiver) enter(l config.Limits) bool {
	if rc.requests.Add(1) > int64(l.Requests) {
		rc.requests.Add(-1)
		return false
	}
	return true
}
