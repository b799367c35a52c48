package pack

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// usual is an attempt as nearly all are.
func usual() seawall.Attempt {
	return seawall.Attempt{N: 2, At: time.UnixMicro(1_795_000_000_000_000).UTC(), Took: time.Second, Error: "HTTP 500", Node: "n1",
		Request: seawall.Request{Method: "POST", URL: "https://orders.internal/"}, Response: &seawall.Response{Status: 500, Body: []byte("no")}}
}

// What came later lies at the end, and only where there is some: attempts without
// are as they were before.
func TestWhatWasAskedIsKept(t *testing.T) {
	want := usual()
	want.Asked = []seawall.Exchange{
		{What: seawall.Fetches, At: want.At, Shared: true, Request: seawall.Request{Method: "GET", URL: "https://app.example/users/7"},
			Response: &seawall.Response{Status: 200, Body: []byte(`{"id":7}`)}},
		{What: seawall.Finds, At: want.At, Error: "no answer", Request: seawall.Request{Method: "GET", URL: "https://crm.example/contacts"}},
	}
	for _, step := range []seawall.Step{seawall.Send, seawall.Create} {
		want.Step = step
		b := Attempt(&want)
		got, err := ParseAttempt(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := ParseAttempt(b[:len(b)-1]); err == nil {
			t.Error("an attempt that is cut off is read")
		}
	}
}

func TestG10_WhatAttemptsGotLaterIsAtTheirEnd(t *testing.T) {
	plain, more := usual(), usual()
	more.Step, more.Destination = seawall.Check, "orders"
	a, b := Attempt(&plain), Attempt(&more)
	if string(b[:len(a)]) != string(a) {
		t.Error("the step is not at the end")
	}
	for _, want := range []seawall.Attempt{plain, more} {
		got, err := ParseAttempt(Attempt(&want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v: %v", got, want, err)
		}
	}
	for n := 1; n < len(b); n++ {
		if _, err := ParseAttempt(b[:n]); err == nil && n != len(a) {
			t.Errorf("read though it was cut off after %d of %d bytes", n, len(b))
		}
	}
}

func TestReaddress(t *testing.T) {
	for _, c := range []struct{ made, from, to, want string }{
		{"", "orders", "ops", "orders"},
		{"orders", "ops", "orders", ""},
		{"", "ops", "orders", "ops"},
		{"orders", "ops", "last", "orders"},
	} {
		a := usual()
		a.Destination = c.made
		moved, err := Readdress(Attempt(&a), c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseAttempt(moved)
		if a.Destination = c.want; err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
}

// withHeaders is an attempt as one goes out over HTTP, and what came back.
func withHeaders() seawall.Attempt {
	a := usual()
	a.Request.Headers = http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {"dlv_1"}, "Accept": {"a", "b"}, "X-Of-Ours": {"1"}, "content-type": {"odd"}}
	a.Response.Headers = http.Header{"Date": {"Wed, 25 Nov 2026 12:00:00 GMT"}, "Signature": {""}}
	return a
}

func TestNamesOfHeadersAreNumbers(t *testing.T) {
	want := withHeaders()
	b := Attempt(&want)
	if got, err := ParseAttempt(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v: %v", got, want, err)
	}
	for name, there := range map[string]bool{"Webhook-Id": false, "Content-Type": false, "X-Of-Ours": true, "content-type": true} {
		if bytes.Contains(b, []byte(name)) != there {
			t.Errorf("packed as its text: %s: %v", name, !there)
		}
	}
	if _, err := ParseHeaders([]byte{2, 1, byte(len(headerNames)), 0}); err == nil {
		t.Error("the number of a name that a later version knows is read")
	}
}

// What is stored says names by their place: none may move.
func TestG10_NamesOfHeadersKeepTheirNumbers(t *testing.T) {
	for name, n := range map[string]uint64{"Content-Type": 1, "Webhook-Id": 8, "Server": 21, "Stripe-Signature": 41, "Signature": 70} {
		if got := headerNumbers[name]; got != n {
			t.Errorf("%s is number %d, was %d", name, got, n)
		}
	}
	sum := fnv.New64a()
	for _, name := range headerNames[1:71] {
		fmt.Fprintln(sum, name)
	}
	if got := sum.Sum64(); got != 0x90b021a4c38c6785 {
		t.Errorf("the first 70 names are others: %#x", got)
	}
	for i, name := range headerNames[1:] {
		if name != http.CanonicalHeaderKey(name) || headerNumbers[name] != uint64(i+1) {
			t.Errorf("number %d is %q, which is not as HTTP spells it, or is there twice", i+1, name)
		}
	}
}

// What was packed before names had numbers is read.
func TestG10_TheLayoutBeforeIsRead(t *testing.T) {
	old := []byte("\x01\x02\x04Date\x01\x03now\x05X-Own\x02\x01a\x00")
	got, err := ParseHeaders(old)
	if want := (http.Header{"Date": {"now"}, "X-Own": {"a", ""}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: %v", got, want, err)
	}
	for _, layout := range []byte{0, 3} {
		old[0] = layout
		if _, err := ParseHeaders(old); err == nil {
			t.Errorf("layout %d is read", layout)
		}
	}
}

func BenchmarkAttempt(b *testing.B) {
	a := withHeaders()
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(Attempt(&a))))
	}
}
