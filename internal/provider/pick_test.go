package provider

import (
	"bytes"
	"strings"
	"testing"
)

func TestPick(t *testing.T) {
	p := pick("id", "data.object.id|related_object.id", "created", "type")
	for _, c := range []struct{ name, body, want, err string }{
		{"plain", `{"id":"a","created":1795400000,"data":{"object":{"x":[{}],"id":"b"}},"type":"t"}`, "a b 1795400000 t", ""},
		{"alternative", `{"id":"a","created":1,"related_object":{"id":"c"},"type":"t"}`, "a c 1 t", ""},
		{"first of two counts", `{"id":"a","id":"z","created":1,"type":"t"}`, "a  1 t", ""},
		{"64 bits", `{"id":820982911946154133,"type":"t"}`, "820982911946154133   t", ""},
		{"beyond 64 bits", `{"id":1e400}`, "1e400   ", ""},
		{"escaped name and value", `{"\u0069d":"\u00e9\ud83d\ude00\n"}`, "é😀\n   ", ""},
		{"not scalars", `{"id":null,"type":[1],"created":{"id":3},"data":"x"}`, "   ", ""},
		{"lone surrogate", `{"id":"\ud800"}`, "\ufffd   ", ""},
		{"cut off after the id", `{"id":"a","type":"`, "a   ", "it ends in the middle"},
		{"not JSON", `Hello, World!`, "   ", "it is not JSON"},
		{"empty", ``, "   ", "it ends in the middle"},
		{"array", `[{"id":"a"}]`, "   ", "it is not a JSON object"},
		{"rest unread", `{"id":"a","data":{"object":{"id":"b"}},"created":1,"type":"t",}}}`, "a b 1 t", ""},
		{"cut off where a name should be", `{"id":"a","data":{"x":{"y":[{1.`, "a   ", "it ends in the middle"},
		{"deep", `{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,"id":"a"}`, "a   ", ""},
		{"too deep", `{"id":"a","x":` + strings.Repeat("[", 100_000), "a   ", "it is not JSON"},
	} {
		got, err := p.from([]byte(c.body), 0)
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
		if msg := errText(err); msg != c.err {
			t.Errorf("%s: error %q, want %q", c.name, msg, c.err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestElementsAreParts(t *testing.T) {
	body := []byte(" [ {\"a\": 1} ,2,\n\"x\" ]")
	got, err := elements(body)
	if err != nil || string(bytes.Join(got, []byte("|"))) != `{"a": 1}|2|"x"` {
		t.Fatalf("got %q, %v", got, err)
	}
	if &got[0][0] != &body[3] {
		t.Error("the element is a copy")
	}
	for in, n := range map[string]int{`[]`: 0, `{"a":1}`: 1, `[[],[]]`: 2} {
		if got, err := elements([]byte(in)); err != nil || len(got) != n {
			t.Errorf("%s: %d elements, %v", in, len(got), err)
		}
	}
	for _, in := range []string{``, `[`, `[1`, `"x"`, `x`} {
		if _, err := elements([]byte(in)); err == nil {
			t.Errorf("%q was read", in)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	body := []byte(`{"id":"evt_1qLnycchvsqjcjcs3b65bkB6","object":"event","api_version":"2025-09-30.clover","created":1795400000,"data":{"object":{"id":"pi_3t7zMq4gfmCdjH5M3SNVG4Je","object":"payment_intent","amount":2000,"currency":"eur","metadata":{"order_id":"1001","customer":"cus_1"},"charges":{"data":[{"id":"ch_1","amount":2000,"outcome":{"network_status":"approved_by_network","risk_level":"normal","seller_message":"Payment complete."}}]},"description":"` + strings.Repeat("x", 500) + `"}},"livemode":false,"pending_webhooks":1,"request":{"id":"req_ahnTGyuCERUwuH","idempotency_key":"a36c16ce-d420-4fd5-a0ed-3f307b5848cf"},"type":"payment_intent.succeeded"}`)
	p := pick("id", "data.object.id|related_object.id", "created", "type")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if v, err := p.from(body, 0); err != nil || v[3] == "" {
			b.Fatal(err)
		}
	}
}
