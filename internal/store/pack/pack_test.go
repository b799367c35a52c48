package pack

import (
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

// The program before reads what this one writes, and this one what that one wrote:
// what came later lies at the end, and only where there is some.
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

func TestG10_AttemptsAreReadByTheProgramBefore(t *testing.T) {
	plain, more := usual(), usual()
	more.Step, more.Destination = seawall.Check, "orders"
	a, b := Attempt(&plain), Attempt(&more)
	if string(b[:len(a)]) != string(a) {
		t.Error("what the program before reads is another")
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
