package provider

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// The generic HMAC: any scheme of the kind "HMAC over a template, in a header",
// described in the configuration.

var genericHMAC = entry{
	Info: Info{
		Name: "hmac", Title: "Any HMAC scheme",
		Doc:   "HMAC over a template, in a header; header, algorithm, encoding, prefix, content and time as set",
		ID:    genericID,
		Needs: "secret, header",
		Keys: []string{"secret", "header", "algorithm", "encoding", "prefix", "signed", "secret_encoding", "pairs", "timestamp", "tolerance",
			"each", "id", "type", "time"},
	},
	open:   openHMAC,
	sample: genericSample,
	sign:   signHMAC,
}

// hmacScheme is the description, checked and with its defaults.
type hmacScheme struct {
	header    string
	algorithm verify.Algorithm
	encoding  verify.Encoding
	prefix    string
	signed    *verify.Template
	pairs     *Pairs
	timestamp TimestampSpec
	timed     bool
	window    verify.Window
}

func openHMAC(s Settings) (*source, error) {
	h, err := newHMAC(s)
	if err != nil {
		return nil, err
	}
	keys, err := h.keys(s)
	if err != nil {
		return nil, err
	}
	return &source{
		traits:    Traits{SignsURL: h.signed.Uses("url") || h.signed.Uses("path")},
		keys:      keys,
		signature: h.header,
		check:     h.check,
		items:     genericItems(s),
	}, nil
}

func newHMAC(s Settings) (*hmacScheme, error) {
	if s.Header == "" {
		return nil, wrong("header", "is missing").hint("the header that the signature comes in, for example X-Signature")
	}
	if !validHeader(s.Header) {
		return nil, wrong("header", "is not the name of a header")
	}
	h := &hmacScheme{header: http.CanonicalHeaderKey(s.Header), prefix: s.Prefix, timestamp: s.Timestamp}
	if s.Pairs != nil {
		p := *s.Pairs
		switch {
		case p.Signature == "": // a list of plain signatures
			p.Assign = ""
		case p.Assign == "":
			p.Assign = "="
		}
		h.pairs = &p
	}
	var err error
	if h.algorithm, err = algorithm(s.Algorithm); err != nil {
		return nil, err
	}
	if h.encoding, err = encoding("encoding", s.Encoding, verify.Hex, verify.Base64, verify.Base64URL); err != nil {
		return nil, err
	}
	text := s.Signed
	if text == "" {
		text = "{body}"
	}
	if h.signed, err = verify.ParseTemplate(text); err != nil {
		return nil, wrong("signed", "%v", err).hint("for example {timestamp}.{body}")
	}
	if !h.signed.Uses("body") {
		return nil, wrong("signed", "holds no {body}, so that anyone could change it").hint("for example {timestamp}.{body}")
	}
	return h, h.time(s)
}

// time checks where the signed time comes from.
func (h *hmacScheme) time(s Settings) error {
	if p := h.pairs; p != nil {
		if p.Separator == "" {
			return wrong("pairs", "has no separator").hint(`for "t=1,v1=ab": {separator: ",", assign: "=", signature: v1, timestamp: t}`)
		}
		if p.Timestamp != "" && p.Signature == "" {
			return wrong("pairs", "names the key of the timestamp, but not that of the signature").hint("signature: v1, for example")
		}
		if p.Timestamp != "" && h.timestamp.Header != "" {
			return wrong("pairs", "and timestamp.header both say where the timestamp is").hint("give it once")
		}
	}
	switch h.timestamp.Unit {
	case "":
		h.timestamp.Unit = verify.Seconds
	case verify.Seconds, verify.Millis, verify.RFC3339:
	default:
		return wrong("timestamp", "%q is not a unit", clip(h.timestamp.Unit)).hint("one of: s, ms, rfc3339")
	}
	if h.timestamp.Header != "" && !validHeader(h.timestamp.Header) {
		return wrong("timestamp", "the header's name is not one")
	}
	h.timed = h.timestamp.Header != "" || h.pairs != nil && h.pairs.Timestamp != ""
	if h.signed.Uses("timestamp") && !h.timed {
		return wrong("timestamp", "is missing: {timestamp} is signed, but nothing says where it is sent").
			hint("timestamp: {header: X-Timestamp}, or in pairs")
	}
	if s.Tolerance > 0 && !h.timed {
		return wrong("tolerance", "needs a timestamp").hint("timestamp: {header: X-Timestamp}, or in pairs")
	}
	h.window = verify.Both(tolerance(s, 5*time.Minute))
	return nil
}

func (h *hmacScheme) keys(s Settings) ([]verify.Key, error) {
	e, err := encoding("secret_encoding", s.SecretEnc, verify.Text, verify.Hex, verify.Base64, verify.Base64URL)
	if err != nil {
		return nil, err
	}
	return keys("secret", s.Secrets, "the secret shared with the sender", func(v string) ([]byte, error) {
		b, err := e.Decode(v)
		if err == nil && e != verify.Text && len(b) < leastText {
			return nil, errShort(len(b))
		}
		if err != nil {
			return nil, errNotEncoded(e)
		}
		return b, nil
	})
}

func (h *hmacScheme) check(_ context.Context, r *Request, keys []verify.Key) (string, error) {
	sigs, ts, err := h.read(r)
	if err != nil {
		return "", err
	}
	var signed time.Time
	if h.timed {
		if signed, err = signedAt(h.timeHeader(), ts, h.timestamp.Unit); err != nil {
			return "", err
		}
	}
	content, err := h.content(r, ts)
	if err != nil {
		return "", err
	}
	n, err := verify.HMAC(h.algorithm, keys, r.Now, sigs, content...)
	if err != nil {
		return "", err
	}
	if h.timed {
		if err := verify.Fresh(signed, r.Now, h.window); err != nil {
			return "", err
		}
	}
	return proof("hmac "+h.algorithm.Name, "secret", n, len(keys)), nil
}

// read takes the signatures and the time, as sent, out of the headers.
func (h *hmacScheme) read(r *Request) (sigs [][]byte, ts string, err error) {
	value, err := verify.Header(r.Header, h.header)
	if err != nil {
		return nil, "", err
	}
	if p := h.pairs; p != nil {
		pairs, err := verify.Pairs(h.header, value, p.Separator, p.Assign)
		if err != nil {
			return nil, "", err
		}
		if p.Timestamp != "" {
			if ts, err = verify.One(h.header, pairs, p.Timestamp); err != nil {
				return nil, "", err
			}
		}
		sigs, err = verify.All(h.header, pairs, p.Signature, h.prefix, h.encoding, h.algorithm.Size)
		if err != nil {
			return nil, "", err
		}
	} else {
		sig, err := verify.Signature(h.header, value, h.prefix, h.encoding, h.algorithm.Size)
		if err != nil {
			return nil, "", err
		}
		sigs = [][]byte{sig}
	}
	if h.timestamp.Header != "" {
		ts, err = verify.Header(r.Header, h.timestamp.Header)
	}
	return sigs, ts, err
}

func (h *hmacScheme) timeHeader() string {
	if h.timestamp.Header != "" {
		return h.timestamp.Header
	}
	return h.header
}

// content is what the template signs of this request.
func (h *hmacScheme) content(r *Request, ts string) ([][]byte, error) {
	c := &verify.Content{Body: r.Body, Timestamp: ts, URL: r.URL, Method: r.Method, Header: r.Header}
	if h.signed.Uses("id") {
		id, err := verify.Header(r.Header, idHeader)
		if err != nil {
			return nil, err
		}
		c.ID = id
	}
	if h.signed.Uses("path") {
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, verify.Errorf(verify.SignatureMismatch, "the path is signed, and the URL cannot be read")
		}
		c.Path = u.EscapedPath()
	}
	return h.signed.Fill(c)
}

func signHMAC(s Settings, r *Request) error {
	if _, err := first("secret", s.Secrets); err != nil {
		return err
	}
	h, err := newHMAC(s)
	if err != nil {
		return err
	}
	keys, err := h.keys(s)
	if err != nil {
		return err
	}
	ts := map[string]string{
		verify.Seconds: strconv.FormatInt(r.Now.Unix(), 10),
		verify.Millis:  strconv.FormatInt(r.Now.UnixMilli(), 10),
		verify.RFC3339: r.Now.UTC().Format(time.RFC3339),
	}[h.timestamp.Unit]
	if h.timestamp.Header != "" {
		r.Header.Set(h.timestamp.Header, ts)
	}
	if h.signed.Uses("id") && r.Header.Get(idHeader) == "" {
		r.Header.Set(idHeader, "msg_"+contentID(r.Body)[len("sha256:"):])
	}
	content, err := h.content(r, ts)
	if err != nil {
		return err
	}
	value := h.prefix + h.encoding.Encode(h.algorithm.Sum(keys[0].Bytes, content...))
	if p := h.pairs; p != nil && p.Assign != "" {
		value = p.Signature + p.Assign + value
		if p.Timestamp != "" {
			value = p.Timestamp + p.Assign + ts + p.Separator + value
		}
	}
	r.Header.Set(h.header, value)
	return nil
}

func algorithm(name string) (verify.Algorithm, error) {
	if name == "" {
		return verify.SHA256, nil
	}
	for _, a := range verify.Algorithms {
		if a.Name == strings.ToLower(strings.ReplaceAll(name, "-", "")) {
			return a, nil
		}
	}
	return verify.Algorithm{}, wrong("algorithm", "%q is not a hash that this version knows", clip(name)).hint("one of: sha1, sha256, sha384, sha512")
}

// encoding reads the name of an encoding; the first of those allowed is the
// default.
func encoding(key, name string, allowed ...verify.Encoding) (verify.Encoding, error) {
	if name == "" {
		return allowed[0], nil
	}
	if e := verify.Encoding(name); slices.Contains(allowed, e) {
		return e, nil
	}
	list := make([]string, len(allowed))
	for i, e := range allowed {
		list[i] = string(e)
	}
	return "", wrong(key, "%q is not an encoding", clip(name)).hint("one of: %s", strings.Join(list, ", "))
}

// validHeader tells whether s is a header's name: a token of RFC 9110,
// section 5.6.2.
func validHeader(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
