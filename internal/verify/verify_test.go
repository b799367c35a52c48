package verify

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1795400000, 0)

func reason(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// The known answer in the test suites of the Standard Webhooks libraries.
func TestSignStandardKnownAnswer(t *testing.T) {
	at := time.Unix(1614265330, 0)
	got, err := SignStandard([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`))
	if err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%s, %v", got, err)
	}
}

// Several secrets make several signatures; a receiver with any of the keys, of
// either kind, verifies them.
func TestSignStandardInRotation(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	private := ed25519.NewKeyFromSeed(seed)
	secrets := []string{
		"whsec_" + base64.StdEncoding.EncodeToString([]byte("the new secret, 24 bytes")),
		base64.StdEncoding.EncodeToString([]byte("the old secret, 24 bytes")),
		"whsk_" + base64.StdEncoding.EncodeToString(private),
	}
	body := []byte(`{"a":1}`)
	value, err := SignStandard(secrets, "msg_1", now, body)
	if err != nil || len(strings.Split(value, " ")) != 3 {
		t.Fatalf("%q, %v", value, err)
	}
	h := http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {"1795400000"}, "Webhook-Signature": {value}}
	scheme := Standard{Prefix: "webhook-", Window: Both(5 * time.Minute)}
	key := func(b string) []Key { return []Key{{Bytes: []byte(b)}} }
	for _, c := range []struct {
		secrets, public []Key
		version         string
	}{
		{key("the new secret, 24 bytes"), nil, "v1"},
		{key("the old secret, 24 bytes"), nil, "v1"},
		{nil, key(string(private.Public().(ed25519.PublicKey))), "v1a"},
		{key("neither of the two, really"), key(string(private.Public().(ed25519.PublicKey))), "v1a"},
	} {
		if v, n, err := scheme.Verify(h, body, c.secrets, c.public, now); v != c.version || n != 1 || err != nil {
			t.Errorf("%s: %q, %d, %v", c.version, v, n, err)
		}
	}
	if _, _, err := scheme.Verify(h, body, key("neither of the two, really"), nil, now); reason(err) != SignatureMismatch {
		t.Error(err)
	}
	if _, _, err := scheme.Verify(h, body, key(""), key(""), now); reason(err) != SignatureMismatch {
		t.Errorf("empty keys: %v", err)
	}
	for _, bad := range [][]string{nil, {""}, {"whsec_"}, {"whsec_???"}, {"whsk_AAAA"}, {"whpk_AAAA"}, {secrets[0], ""}} {
		if v, err := SignStandard(bad, "m", now, nil); err == nil {
			t.Errorf("signed with %q: %s", bad, v)
		}
	}
}

func TestMatch(t *testing.T) {
	is := func(want string) func([]byte) bool { return func(k []byte) bool { return string(k) == want } }
	keys := []Key{{Bytes: []byte("new")}, {Bytes: []byte("old"), Expires: now}, {Bytes: []byte{}}}
	if n, err := Match(keys, now.Add(-1), is("old")); n != 2 || err != nil {
		t.Errorf("in force: %d, %v", n, err)
	}
	if _, err := Match(keys, now, is("old")); reason(err) != SecretExpired {
		t.Errorf("at its end: %v", err)
	}
	if _, err := Match(keys, now, is("other")); reason(err) != SignatureMismatch {
		t.Errorf("none: %v", err)
	}
	if _, err := Match(keys, now, is("")); reason(err) != SignatureMismatch {
		t.Errorf("the empty key fits: %v", err)
	}
	if _, err := Match(nil, now, func([]byte) bool { return true }); reason(err) != SignatureMismatch {
		t.Errorf("no keys: %v", err)
	}
	both := []Key{{Bytes: []byte("k"), Expires: now}, {Bytes: []byte("k")}}
	if n, err := Match(both, now, is("k")); n != 2 || err != nil {
		t.Errorf("the expired one hides the other: %d, %v", n, err)
	}
}

// The first pair of RFC 4231 (section 4.2), and of RFC 2202 for SHA-1.
func TestHMACKnownAnswers(t *testing.T) {
	key, data := bytes.Repeat([]byte{0x0b}, 20), []byte("Hi There")
	for name, want := range map[string]string{
		"sha1":   "b617318655057264e28bc0b6fb378c8ef146be00",
		"sha256": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		"sha384": "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
		"sha512": "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
	} {
		for _, a := range Algorithms {
			if a.Name != name {
				continue
			}
			sum := a.Sum(key, data[:3], data[3:])
			if Hex.Encode(sum) != want || len(sum) != a.Size {
				t.Errorf("%s: %x", name, sum)
			}
			for _, sigs := range [][][]byte{nil, {}, {{}}, {sum[:a.Size-1]}, {append(sum[:a.Size:a.Size], 0)}} {
				if _, err := HMAC(a, []Key{{Bytes: key}}, now, sigs, data); reason(err) != SignatureMismatch {
					t.Errorf("%s accepts %x: %v", name, sigs, err)
				}
			}
			if _, err := HMAC(a, []Key{{Bytes: key}}, now, [][]byte{{1}, sum}, data); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestPairs(t *testing.T) {
	for _, c := range []struct{ value, separator, assign, want string }{
		{"t=1,v1=ab,v1=cd", ",", "=", "t:1 v1:ab v1:cd"},
		{" t = 1 ;; h1 = a=b ; ", ";", "=", "t:1 h1:a=b"},
		{"k1|aa&k2|bb", "&", "|", "k1:aa k2:bb"},
		{"v1,aa  v1a,bb", " ", ",", "v1:aa v1a:bb"},
		{"aa, bb", ",", "", ":aa :bb"},
		{"", ",", "=", ""},
	} {
		pairs, err := Pairs("X", c.value, c.separator, c.assign)
		var got []string
		for _, p := range pairs {
			got = append(got, p.Key+":"+p.Value)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q: %q, %v", c.value, got, err)
		}
	}
	for _, bad := range []string{"t", "t=1,x", strings.Repeat("a=1,", 40)} {
		if _, err := Pairs("X", bad, ",", "="); reason(err) != HeaderMalformed {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if _, err := One("X", []Pair{{"t", "1"}, {"t", "2"}}, "t"); reason(err) != HeaderMalformed {
		t.Errorf("twice: %v", err)
	}
	if _, err := One("X", []Pair{{"t", ""}}, "t"); reason(err) != HeaderMalformed {
		t.Errorf("empty: %v", err)
	}
}

func TestEncodingHasOneSpelling(t *testing.T) {
	for _, c := range []struct {
		e  Encoding
		s  string
		ok bool
	}{
		{Hex, "00ff", true}, {Hex, "00f", false}, {Hex, "0x00", false}, {Hex, "00\nff", false},
		{Base64, "aGk=", true}, {Base64, "aGk", false}, {Base64, "aGl=", false}, {Base64, "aG\nk=", false}, {Base64, "aGk=\r\n", false}, {Base64, "_-==", false},
		{Base64URL, "aGk", true}, {Base64URL, "aGk=", true}, {Base64URL, "_-8", true}, {Base64URL, "+/8", false},
		{"rot13", "uryyb", false},
	} {
		if _, err := c.e.Decode(c.s); (err == nil) != c.ok {
			t.Errorf("%s %q: %v", c.e, c.s, err)
		}
	}
}

func TestFresh(t *testing.T) {
	w := Both(300 * time.Second)
	for _, c := range []struct {
		signed, at string
		want       Reason
	}{
		{"2026-11-23T02:00:00Z", "2026-11-23T02:05:00Z", ""},
		{"2026-11-23T02:00:00Z", "2026-11-23T02:05:00.999Z", ""},
		{"2026-11-23T02:00:00Z", "2026-11-23T02:05:01Z", TimestampOld},
		{"2026-11-23T02:00:00.500Z", "2026-11-23T02:05:00.501Z", TimestampOld},
		{"2026-11-23T02:05:00Z", "2026-11-23T02:00:00Z", ""},
		{"2026-11-23T02:05:01Z", "2026-11-23T02:00:00.999Z", TimestampFuture},
	} {
		signed, _ := time.Parse(time.RFC3339Nano, c.signed)
		at, _ := time.Parse(time.RFC3339Nano, c.at)
		if err := Fresh(signed, at, w); reason(err) != c.want {
			t.Errorf("%s at %s: %v, want %q", c.signed, c.at, err, c.want)
		}
	}
	if err := Fresh(now.Add(time.Hour), now, Window{Past: time.Second, Future: -1}); err != nil {
		t.Errorf("an unbounded future: %v", err)
	}
	for _, bad := range []string{"", "+1", "-1", "1.5", " 1", "0x1", "1e3", "9999999999999999"} {
		if _, err := ParseTime(bad, Seconds); err == nil {
			t.Errorf("%q is a time", bad)
		}
	}
}

func TestCredentials(t *testing.T) {
	keys := []Key{{Bytes: []byte("new")}, {Bytes: []byte("old"), Expires: now}}
	if n, err := Token(keys, now, "new"); n != 1 || err != nil {
		t.Error(n, err)
	}
	for sent, want := range map[string]Reason{"old": SecretExpired, "": CredentialWrong, "ne": CredentialWrong, "neww": CredentialWrong} {
		if _, err := Token(keys, now, sent); reason(err) != want {
			t.Errorf("%q: %v", sent, err)
		}
	}
	if _, err := Token([]Key{{}}, now, ""); reason(err) != CredentialWrong {
		t.Errorf("nothing against nothing: %v", err)
	}
	for _, bad := range []string{"", "Bearer", "Bearer ", "Token x", "Bearerx"} {
		if _, err := Bearer(bad); reason(err) != HeaderMalformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if pair, err := Basic("basic aG9vazpwOnNzIHfDtnJk"); pair != "hook:p:ss wörd" || err != nil {
		t.Error(pair, err)
	}
	for _, bad := range []string{"Basic", "Basic ?", "Basic aG9vaw==", "Bearer aG9vazp4"} {
		if _, err := Basic(bad); reason(err) != HeaderMalformed {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTemplateSignsTheBytesAsSent(t *testing.T) {
	tpl, err := ParseTemplate("v0:{timestamp}:{method}{url}{path}{id}{header:x-n}.{body}!")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := tpl.Fill(&Content{
		Body: []byte("\xff{body}"), Timestamp: "007", ID: "i", URL: "u?%20", Path: "/p", Method: "POST", Header: http.Header{"X-N": {"n"}},
	})
	if got := string(bytes.Join(parts, nil)); err != nil || got != "v0:007:POSTu?%20/pin.\xff{body}!" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"{", "{body", "{}", "{Body}", "{header:}", "{header}"} {
		if _, err := ParseTemplate(bad); err == nil {
			t.Errorf("%q is a template", bad)
		}
	}
}

// A header that a stranger wrote is read without panic, within bounds, and what
// is read was in it.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{"t=1,v1=ab", "k|v&k|", "v1,aa v1a,bb", ",,,=", "\x00=\xff"} {
		f.Add(s, ",", "=")
		f.Add(s, " ", ",")
		f.Add(s, "&", "|")
		f.Add(s, ",", "")
	}
	f.Fuzz(func(t *testing.T, value, separator, assign string) {
		pairs, err := Pairs("X", value, separator, assign)
		if err != nil && reason(err) != HeaderMalformed {
			t.Fatal(err)
		}
		if len(pairs) > maxPairs {
			t.Fatalf("%d pairs", len(pairs))
		}
		for _, p := range pairs {
			if !strings.Contains(value, p.Key) || !strings.Contains(value, p.Value) {
				t.Fatalf("%q was not in %q", p, value)
			}
			if sigs, err := All("X", pairs, p.Key, "", Hex, 2); err == nil && len(sigs) == 0 {
				t.Fatal("no signature and no error")
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("{timestamp}.{body}")
	f.Add("{header:X}{")
	f.Fuzz(func(t *testing.T, s string) {
		tpl, err := ParseTemplate(s)
		if err != nil {
			return
		}
		if _, err := tpl.Fill(&Content{Header: http.Header{}}); err != nil && reason(err) != HeaderMissing {
			t.Fatal(err)
		}
	})
}
