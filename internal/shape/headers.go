package shape

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/verify"
)

// headers makes those of the request, and the same without secrets.
//
// They come in layers: what was forwarded, what the configuration says, what
// every delivery carries. Of an original that is forwarded nothing is
// overwritten by the last layer: where it has a header of that name, ours is
// sent as "seawall-" and the name.
func (w *work) headers(body []byte, kind, credentials string, veil veil) (out, shown http.Header, err error) {
	h := newHeader()
	if w.dest.Forward {
		forward(h.Header, w.ev.Headers)
	} else {
		h.set("User-Agent", w.agent)
		if kind != "" {
			h.set("Content-Type", kind)
		}
	}
	if credentials != "" {
		h.set("Authorization", credentials)
	}
	var secret []string
	for _, c := range w.dest.Headers {
		name := textproto.CanonicalMIMEHeaderKey(c.Name)
		value, err := w.expand(c.Value, expr.HeaderValue)
		if err == nil {
			err = w.checkHeader(name, value)
		}
		if err != nil {
			return nil, nil, w.fault("header "+strconv.Quote(clip(c.Name)), err)
		}
		if value == "" {
			delete(h.Header, name)
			continue
		}
		h.set(name, value)
		if veil.covers(name, value) {
			secret = append(secret, name)
		}
	}
	if err := w.own(h, body); err != nil {
		return nil, nil, err
	}

	shown = maps.Clone(h.Header)
	for _, name := range secret {
		shown[name] = []string{redacted}
	}
	for _, name := range credentialHeaders {
		if _, ok := shown[name]; ok {
			shown[name] = []string{redacted}
		}
	}
	return h.Header, shown, nil
}

// header is one being made. Its values share an array, since nearly every name has
// one value only.
type header struct {
	http.Header
	values []string
}

func newHeader() *header {
	const most = 14 // that a map of that size holds
	return &header{make(http.Header, most), make([]string, 0, most)}
}

func (h *header) set(name, value string) {
	h.values = append(h.values, value)
	n := len(h.values)
	h.Header[name] = h.values[n-1 : n : n]
}

// own sets what every delivery carries.
func (w *work) own(h *header, body []byte) error {
	id := w.d.ID.String()
	at := strconv.FormatInt(w.now.Unix(), 10)
	attempt := w.d.Attempts + 1
	signature := ""
	if secrets := w.dest.secrets(w.now); len(secrets) > 0 {
		var err error
		if signature, err = verify.SignStandard(secrets, id, w.now, body); err != nil {
			return w.fault("sign", err)
		}
	} else if len(w.dest.Sign) > 0 {
		return w.fault("sign", errors.New("every secret has expired"))
	}

	original := func(names ...string) bool {
		for _, n := range names {
			if w.dest.Forward && len(w.ev.Headers[n]) > 0 && len(h.Header[n]) > 0 {
				return true
			}
		}
		return false
	}
	// The three of Standard Webhooks mean something together only.
	prefix := ""
	if original("Webhook-Id", "Webhook-Timestamp", "Webhook-Signature") {
		prefix = "Seawall-"
	}
	h.set(prefix+"Webhook-Id", id)
	h.set(prefix+"Webhook-Timestamp", at)
	if signature != "" {
		h.set(prefix+"Webhook-Signature", signature)
	}
	if !w.NoKey {
		key := w.dest.keyName
		if original(key) {
			key = "Seawall-" + key
		}
		h.set(key, cmp.Or(w.Key, id))
	}
	trace := "Traceparent"
	if original(trace) {
		trace = "Seawall-" + trace
	}
	h.set(trace, traceparent(w.ev.ID, w.d.ID, attempt))

	h.set("Seawall-Event", w.ev.ID.String())
	h.set("Seawall-Attempt", strconv.Itoa(attempt))
	for _, named := range [...]struct{ name, value string }{
		{"Seawall-Type", w.ev.Type}, {"Seawall-Entity", w.ev.Entity}, {"Seawall-Version", w.ev.Version}, {"Seawall-Record", w.Fetched},
	} {
		if value := encoded(named.value); value != "" {
			h.set(named.name, value)
		}
	}
	if w.d.Late {
		h.set("Seawall-Late", "true")
	}
	return nil
}

// checkHeader refuses what belongs to the connection, to the body, or to every
// delivery.
func (w *work) checkHeader(name, value string) error {
	switch {
	case !isToken(name):
		return errors.New("not a header name")
	case ofConnection[name], name == "Host", name == "Content-Length":
		return errors.New("it belongs to the connection and cannot be set")
	case strings.HasPrefix(name, "Seawall-"), strings.HasPrefix(name, "Webhook-"), name == "Traceparent", name == w.dest.keyName:
		return errors.New("it is the gateway's own")
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("a control character in the value, at byte %d", i+1)
		}
	}
	return nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// isToken tells whether s is a token (RFC 9110, section 5.6.2), as methods and
// header names are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

const maxValue = 1024 // bytes of a value that the event names

// encoded makes a value of the event fit for a header: what is not printable
// ASCII, and the percent sign, is percent-encoded, so that decoding gives the
// value back. One that is too long is not sent.
func encoded(s string) string {
	if len(s) > maxValue {
		return ""
	}
	plain := true
	for i := range len(s) {
		plain = plain && s[i] > ' ' && s[i] < 0x7f && s[i] != '%'
	}
	if plain {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '%' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
