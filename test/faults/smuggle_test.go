package faults

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/test/load"
	"github.com/seawall-dev/seawall/test/witness"
)

// smuggling is bytes on one connection that two parsers may take for different
// requests. In them VISIBLE and HIDDEN stand for whole, validly signed requests;
// HEAD and BODY for the parts of the visible one, its length left out; LENGTH for
// that; ALL for the length of BODY with HIDDEN behind it.
var smuggling = []struct{ name, bytes string }{
	{"length and chunks", "HEAD\nContent-Length: ALL\nTransfer-Encoding: chunked\n\nCHUNKED\nHIDDEN"},
	{"chunks and length", "HEAD\nTransfer-Encoding: chunked\nContent-Length: LENGTH\n\nCHUNKED\nHIDDEN"},
	{"chunks and a short length", "HEAD\nTransfer-Encoding: chunked\nContent-Length: 4\n\nCHUNKED\nHIDDEN"},
	{"chunks twice", "HEAD\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\nCHUNKED\nHIDDEN"},
	{"chunks and identity", "HEAD\nContent-Length: LENGTH\nTransfer-Encoding: chunked, identity\n\nBODYHIDDEN"},
	{"identity", "HEAD\nContent-Length: LENGTH\nTransfer-Encoding: identity\n\nBODYHIDDEN"},
	{"unknown coding", "HEAD\nContent-Length: LENGTH\nTransfer-Encoding: xchunked\n\nBODYHIDDEN"},
	{"space before the colon", "HEAD\nContent-Length: LENGTH\nTransfer-Encoding : chunked\n\nBODYHIDDEN"},
	{"tab in the coding", "HEAD\nContent-Length: ALL\nTransfer-Encoding:\x0bchunked\n\nCHUNKED\nHIDDEN"},
	{"folded coding", "HEAD\nContent-Length: ALL\nTransfer-Encoding:\n chunked\n\nCHUNKED\nHIDDEN"},
	{"HTTP/1.0 with chunks", "HEAD10\nContent-Length: ALL\nTransfer-Encoding: chunked\n\nCHUNKED\nHIDDEN"},
	{"two lengths", "HEAD\nContent-Length: LENGTH\nContent-Length: ALL\n\nBODYHIDDEN"},
	{"a list of lengths", "HEAD\nContent-Length: LENGTH, ALL\n\nBODYHIDDEN"},
	{"length with a sign", "HEAD\nContent-Length: +LENGTH\n\nBODYHIDDEN"},
	{"negative length", "HEAD\nContent-Length: -1\n\nBODYHIDDEN"},
	{"length in hex", "HEAD\nContent-Length: 0x400\n\nBODYHIDDEN"},
	{"length with a space", "HEAD\nContent-Length: 10 24\n\nBODYHIDDEN"},
	{"length too large", "HEAD\nContent-Length: 18446744073709552640\n\nBODYHIDDEN"},
	{"folded length", "HEAD\nContent-Length: 1\n 024\n\nBODYHIDDEN"},
	{"first header folded", "POST /in/witness HTTP/1.1\n Host: a\nHost: b\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"bare CR in a header", "HEAD\nX-A: b\rContent-Length: 0\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"NUL in a header", "HEAD\nX-A: b\x00\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"header without a colon", "HEAD\nX-A\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"no host", "HEADLESS\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"two hosts", "HEAD\nHost: other\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"chunk size too large", "HEAD\nTransfer-Encoding: chunked\n\n10000000000000400\nBODY\n0\n\nHIDDEN"},
	{"chunk size with a sign", "HEAD\nTransfer-Encoding: chunked\n\n+400\nBODY\n0\n\nHIDDEN"},
	{"chunk size with 0x", "HEAD\nTransfer-Encoding: chunked\n\n0x400\nBODY\n0\n\nHIDDEN"},
	{"chunk without an end", "HEAD\nTransfer-Encoding: chunked\n\n400\nBODY0\n\nHIDDEN"},
	{"chunk of another length", "HEAD\nTransfer-Encoding: chunked\n\n3ff\nBODY\n0\n\nHIDDEN"},
	{"bare LF in a chunk size", "HEAD\nTransfer-Encoding: chunked\n\n400;aLFb\nBODY\n0\n\nHIDDEN"},
	{"trailer with a length", "HEAD\nTransfer-Encoding: chunked\n\n400\nBODY\n0\nContent-Length: 9\n\nHIDDEN"},
	{"body of a refused method", "GET /in/witness HTTP/1.1\nHost: a\nContent-Length: HIDDENLENGTH\n\nHIDDEN"},
	{"body at an unknown place", "POST /in/nowhere HTTP/1.1\nHost: a\nContent-Length: HIDDENLENGTH\n\nHIDDEN"},
	{"body behind a refused encoding", "POST /in/witness HTTP/1.1\nHost: a\nContent-Encoding: br\nContent-Length: HIDDENLENGTH\n\nHIDDEN"},
	{"unsigned body", "POST /in/witness HTTP/1.1\nHost: a\nContent-Length: HIDDENLENGTH\n\nHIDDEN"},
	{"an upgrade", "HEAD\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABkAAQAAP__\nContent-Length: LENGTH\n\nBODYHIDDEN-AFTER-ALL"},
	{"unknown expectation", "HEAD\nExpect: 200-ok\nContent-Length: LENGTH\n\nBODYHIDDEN"},
	{"expectation twice", "HEAD\nExpect: 100-continue\nExpect: 100-continue\nContent-Length: 0\n\nHIDDEN-AFTER-ALL"},
	{"absolute and other host", "POST http://other/in/witness HTTP/1.1\nHost: a\nContent-Length: HIDDENLENGTH\n\nHIDDEN"},
}

// harmless is what has one meaning, so that a second request on the connection
// is one. It shows that the test can see two.
var harmless = []struct {
	name, bytes string
	requests    int
}{
	{"two requests", "VISIBLEHIDDEN", 2},
	{"expected body", "HEAD\nExpect: 100-continue\nContent-Length: LENGTH\n\nBODYHIDDEN", 2},
	{"one length twice", "HEAD\nContent-Length: LENGTH\nContent-Length: LENGTH\n\nBODYHIDDEN", 2},
	{"folded header", "HEAD\nX-A: b\n c: d\nContent-Length: LENGTH\n\nBODYHIDDEN", 2},
	{"bare LF", "LF:HEAD\nContent-Length: LENGTH\n\nBODY", 1},
}

// Row 14. However the bytes may be read by a proxy in front, there is exactly one
// request in them, or none (400), and then the connection ends: what was hidden
// behind it is neither answered nor accepted.
func TestNoRequestHidesInAnother(t *testing.T) {
	s := open(t, t.TempDir(), witness.Setup{}, nil)
	s.start()
	s.ready()
	seq := 0
	next := func() int { seq += 2; return seq }
	hidden := map[int]string{}
	for _, c := range smuggling {
		n := next()
		visible, behind := s.spell(c.bytes, n)
		got, closed, err := talk(s.gateway.Addr, visible)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !behind {
			hidden[n+1] = c.name
		}
		switch {
		case !closed:
			t.Errorf("%s: %v, and the connection stays open", c.name, got)
		case len(got) > 1 && !behind:
			t.Errorf("%s: answered %v", c.name, got)
		case len(got) == 0 || got[0]/100 == 5 && got[0] != 501:
			t.Errorf("%s: answered %v, want one answer", c.name, got)
		}
		t.Logf("%-32s %v", c.name, got)
	}
	for _, c := range harmless {
		bytes, _ := s.spell(c.bytes, next())
		got, _, err := talk(s.gateway.Addr, bytes)
		if err != nil || len(got) != c.requests || got[0] != 200 {
			t.Errorf("%s: answered %v, %v, want %d times 200", c.name, got, err, c.requests)
		}
	}
	s.delivered(20 * time.Second)
	for _, got := range s.history.Received() {
		if name, ok := hidden[got.Seq]; ok {
			t.Errorf("%s: the hidden request was accepted", name)
		}
	}
}

// spell writes a case out, for events n and n+1, and notes what may be accepted.
// again tells that a second request is in the open.
func (s *scene) spell(text string, n int) (raw []byte, again bool) {
	s.history.Try(n)
	s.history.Try(n + 1)
	source := load.NewSource(witness.Path, witness.SourceSecret, "witness")
	visible := string(source.Request(n))
	hidden := string(source.Request(n + 1))
	head, body, _ := strings.Cut(visible, "\r\n\r\n")
	var headers []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if !strings.HasPrefix(line, "Content-Length:") {
			headers = append(headers, line)
		}
	}
	head = strings.Join(headers, "\r\n")
	text, bare := strings.CutPrefix(text, "LF:")
	if !bare {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	again = strings.Contains(text, "HIDDEN-AFTER-ALL")
	for _, r := range [][2]string{
		{"HIDDEN-AFTER-ALL", hidden},
		{"HIDDENLENGTH", fmt.Sprint(len(hidden))},
		{"HIDDEN", hidden}, {"VISIBLE", visible},
		{"HEADLESS", strings.Replace(head, "Host: gateway\r\n", "", 1)},
		{"HEAD10", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)},
		{"HEAD", head},
		{"CHUNKED", fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(body), body)},
		{"LENGTH", fmt.Sprint(len(body))},
		{"ALL", fmt.Sprint(len(body) + 16 + len(hidden))},
		{"BODY", body},
		{"aLFb", "a\nb"},
	} {
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	return []byte(text), again
}

// talk sends bytes and reads all answers; closed tells that the other side ended
// the connection, or had read to our end of it.
func talk(addr string, raw []byte) (statuses []int, closed bool, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, false, err
	}
	// A refusal may reset the connection while we still write.
	go func() {
		if _, err := io.Copy(c, bytes.NewReader(raw)); err == nil {
			c.(*net.TCPConn).CloseWrite()
		}
	}()
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			var timeout net.Error
			return statuses, !errors.As(err, &timeout) || !timeout.Timeout(), nil
		}
		if resp.StatusCode >= 200 {
			statuses = append(statuses, resp.StatusCode)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return statuses, true, nil
		}
	}
}
