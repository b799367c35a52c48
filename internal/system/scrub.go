package system

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/seawall-dev/seawall/internal/send"
)

// shortest is the length from which a secret is looked for in an answer: a
// shorter one occurs everywhere.
const shortest = 8

// hidden are the secrets that are looked for in what a system says.
func (set *settings) hidden() (out []string) {
	for _, secret := range set.auth.secrets() {
		if len(secret) >= shortest {
			out = append(out, secret)
		}
	}
	return out
}

// scrub removes from an answer what the system echoes of its own credentials.
func (set *settings) scrub(r *send.Reply) {
	for _, secret := range set.hidden() {
		if r.Err != nil && strings.Contains(r.Err.Error(), secret) {
			r.Err = fmt.Errorf("%s", strings.ReplaceAll(r.Err.Error(), secret, redacted))
		}
		if r.Response == nil {
			continue
		}
		if bytes.Contains(r.Response.Body, []byte(secret)) {
			r.Response.Body = bytes.ReplaceAll(r.Response.Body, []byte(secret), []byte(redacted))
		}
		scrubHeaders(r.Response.Headers, secret)
	}
}

func scrubHeaders(h http.Header, secret string) {
	for _, values := range h {
		for i, v := range values {
			if strings.Contains(v, secret) {
				values[i] = strings.ReplaceAll(v, secret, redacted)
			}
		}
	}
}

// veil does the same to an answer that passes through. In its body stars stand in
// the place of a secret, as many as it had bytes: its length may have been said.
func (set *settings) veil(resp *http.Response) {
	secrets := set.hidden()
	if len(secrets) == 0 {
		return
	}
	for _, secret := range secrets {
		scrubHeaders(resp.Header, secret)
	}
	resp.Body = &veiled{ReadCloser: resp.Body, secrets: secrets}
}

// veiled is a body without secrets. It holds back only what may be the beginning
// of one.
type veiled struct {
	io.ReadCloser
	secrets []string
	buf     []byte // read, and not passed on
	clear   int    // so much of it holds no secret and no beginning of one
	err     error
}

func (v *veiled) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for v.clear == 0 {
		if v.err != nil {
			return 0, v.err
		}
		v.fill(len(p))
	}
	n := copy(p, v.buf[:v.clear])
	v.buf, v.clear = v.buf[n:], v.clear-n
	return n, nil
}

func (v *veiled) fill(most int) {
	kept := len(v.buf)
	buf := make([]byte, kept+most)
	copy(buf, v.buf)
	var n int
	n, v.err = v.ReadCloser.Read(buf[kept:])
	v.buf = buf[:kept+n]
	held := 0
	for _, secret := range v.secrets {
		if bytes.Contains(v.buf, []byte(secret)) {
			v.buf = bytes.ReplaceAll(v.buf, []byte(secret), bytes.Repeat([]byte("*"), len(secret)))
		}
		held = max(held, beginning(v.buf, secret))
	}
	if v.err != nil {
		held = 0 // nothing follows
	}
	v.clear = len(v.buf) - held
}

// beginning is how many bytes at the end of b are the beginning of a secret.
func beginning(b []byte, secret string) int {
	for n := min(len(b), len(secret)-1); n > 0; n-- {
		if string(b[len(b)-n:]) == secret[:n] {
			return n
		}
	}
	return 0
}
