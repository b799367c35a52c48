// Package load sends signed webhooks and receives what a gateway makes of
// them: the two ends of the benchmark and of the crash test. It speaks HTTP/1.1
// over plain connections, with the standard library's parsers, so that most of
// a shared machine is left to what is measured.
package load

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
)

const (
	bodySize = 1024
	seqStart = len(`{"seq":"`)
	seqWidth = 12
)

var filler = bytes.Repeat([]byte("durable and in order. "), bodySize/22+1)

// AppendBody appends the n-th event: 1,024 bytes of JSON, always the same ones
// for the same n.
func AppendBody(b []byte, n int) []byte {
	start := len(b)
	b = fmt.Appendf(b, `{"seq":"%0*d","action":"opened","number":%d,`, seqWidth, n, n)
	b = append(b, `"repository":{"id":1296269,"full_name":"octo/reef","private":false},`...)
	b = append(b, `"sender":{"id":583231,"login":"octo"},"text":"`...)
	b = append(b, filler[:bodySize-len(`"}`)-(len(b)-start)]...)
	return append(b, `"}`...)
}

// Seq reads n out of a body, without trusting the rest of it.
func Seq(body []byte) (n int, ok bool) {
	if len(body) < seqStart+seqWidth {
		return 0, false
	}
	n, err := strconv.Atoi(string(body[seqStart : seqStart+seqWidth]))
	return n, err == nil && n >= 0
}

// Intact tells whether body is, byte for byte, the event it says it is.
func Intact(body []byte) (n int, ok bool) {
	n, ok = Seq(body)
	return n, ok && bytes.Equal(body, AppendBody(nil, n))
}

// Source writes requests as GitHub does: an HMAC-SHA256 of the body, and the
// source event id in X-GitHub-Delivery. It is not safe for concurrent use.
type Source struct {
	head string // request line and the headers that never change
	run  string // in every source event id
	mac  hash.Hash
	sum  []byte
	buf  []byte
}

// NewSource makes the requests of one run to a path. Two runs never share a
// source event id.
func NewSource(path, secret, run string) *Source {
	return &Source{
		head: "POST " + path + " HTTP/1.1\r\nHost: gateway\r\nUser-Agent: GitHub-Hookshot/load\r\n" +
			"Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(bodySize) +
			"\r\nX-GitHub-Event: issues\r\nX-GitHub-Delivery: ",
		run: run,
		mac: hmac.New(sha256.New, []byte(secret)),
	}
}

// Request is the whole request of the n-th event, valid until the next call.
func (s *Source) Request(n int) []byte {
	body := AppendBody(s.buf[:0], n)
	s.mac.Reset()
	s.mac.Write(body)
	s.sum = s.mac.Sum(s.sum[:0])

	req := append(body, s.head...) // behind the body, so that both live in one buffer
	req = fmt.Appendf(req, "%s-%0*d\r\nX-Hub-Signature-256: sha256=", s.run, seqWidth, n)
	req = hex.AppendEncode(req, s.sum)
	req = append(req, "\r\n\r\n"...)
	req = append(req, req[:bodySize]...)
	s.buf = req
	return req[bodySize:]
}
