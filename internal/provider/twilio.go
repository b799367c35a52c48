package provider

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Twilio: https://www.twilio.com/docs/usage/webhooks/webhooks-security. The
// signature is over the URL that Twilio called and, of a form, the decoded
// fields sorted by name. Of any other body it covers only the URL, in whose
// query bodySHA256 then holds the body's hash.

var twilio = entry{
	Info: Info{
		Name: "twilio", Title: "Twilio",
		Doc:   "X-Twilio-Signature: HMAC-SHA1 over the public URL and the form, or bodySHA256 in the query",
		ID:    "header I-Twilio-Idempotency-Token, else the message or call and its status; Event Streams: id of each",
		Needs: "secret (the account's auth token); public_url of the gateway when behind a proxy",
		Keys:  []string{"secret"},
	},
	objects: true,
	open:    openTwilio,
	sample: func(n string) sample {
		sid := "SM" + contentID([]byte(n))[len("sha256:"):]
		return sample{
			contentType: "application/x-www-form-urlencoded; charset=UTF-8",
			header:      map[string]string{"I-Twilio-Idempotency-Token": n},
			body:        url.Values{"MessageSid": {sid}, "SmsSid": {sid}, "MessageStatus": {"delivered"}, "SmsStatus": {"delivered"}, "From": {"+14155551212"}, "To": {"+14155551313"}, "ApiVersion": {"2010-04-01"}}.Encode(),
		}
	},
	sign: func(s Settings, r *Request) error {
		secret, err := first("secret", s.Secrets)
		if err != nil {
			return err
		}
		if !isForm(r) && !strings.Contains(r.URL, twilioBody) {
			mark := "?"
			if strings.Contains(r.URL, "?") {
				mark = "&"
			}
			sum := sha256.Sum256(r.Body)
			r.URL += mark + twilioBody + "=" + verify.Hex.Encode(sum[:])
		}
		fields, err := twilioSigned(r)
		if err != nil {
			return err
		}
		r.Header.Set(twilioHeader, verify.Base64.Encode(verify.SHA1.Sum([]byte(secret), []byte(r.URL), fields)))
		return nil
	},
}

const (
	twilioHeader = "X-Twilio-Signature"
	twilioBody   = "bodySHA256"
)

var errForm = errors.New("it is not a form that can be read")

func openTwilio(s Settings) (*source, error) {
	keys, err := textKeys("secret", s.Secrets, "the account's auth token: Twilio console, Account Info (not an API key's secret)")
	if err != nil {
		return nil, err
	}
	return &source{
		traits:    Traits{SignsURL: true, Methods: []string{http.MethodPost, http.MethodGet}},
		keys:      keys,
		signature: twilioHeader,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, twilioHeader)
			if err != nil {
				return "", err
			}
			sig, err := verify.Signature(twilioHeader, value, "", verify.Base64, verify.SHA1.Size)
			if err != nil {
				return "", err
			}
			fields, err := twilioSigned(r)
			if err != nil {
				return "", err
			}
			for _, u := range twilioURLs(r.URL) {
				var n int
				if n, err = verify.HMAC(verify.SHA1, keys, r.Now, [][]byte{sig}, []byte(u), fields); err == nil {
					return proof("twilio", "auth token", n, len(keys)), nil
				}
			}
			return "", err
		},
		items: twilioItems,
	}, nil
}

// twilioSigned returns what is signed after the URL: the form's fields sorted by
// name, names and values joined; nothing if the query carries the body's hash,
// which is then checked here.
func twilioSigned(r *Request) ([]byte, error) {
	_, query, _ := strings.Cut(r.URL, "?")
	if q, err := url.ParseQuery(query); err == nil && q.Has(twilioBody) {
		sum := sha256.Sum256(r.Body)
		want := verify.Hex.Encode(sum[:])
		if subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(q.Get(twilioBody)))) != 1 {
			return nil, verify.Errorf(verify.SignatureMismatch, "the body's SHA-256 is not the one in the query parameter %s: the body was changed", twilioBody)
		}
		return nil, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, verify.Errorf(verify.BodyUnreadable, "the form's fields are signed, and the form cannot be read")
	}
	names := make([]string, 0, len(form))
	for n := range form {
		names = append(names, n)
	}
	slices.Sort(names)
	var out []byte
	for _, n := range names {
		values := form[n]
		slices.Sort(values)
		for _, v := range slices.Compact(values) { // each value once, as Twilio's libraries have it
			out = append(out, n...)
			out = append(out, v...)
		}
	}
	return out, nil
}

// twilioURLs are the spellings of the URL that Twilio's own library tries:
// Twilio is not consistent about the port, nor about how it escapes the query.
func twilioURLs(raw string) []string {
	out := []string{raw}
	add := func(u string) {
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return out
	}
	authority, rest := cutAuthority(raw)
	host, user := u.Hostname(), ""
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user = authority[:at+1]
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	path, query, hasQuery := strings.Cut(rest, "?")
	if path == "" {
		path = "/"
	}
	queries := []string{query}
	if hasQuery {
		queries = append(queries, legacyQuery(query))
	}
	for _, q := range queries {
		if hasQuery {
			q = "?" + q
		}
		add(u.Scheme + "://" + user + host + path + q)
		if port != "" {
			add(u.Scheme + "://" + user + host + ":" + port + path + q)
		}
	}
	return out
}

// cutAuthority cuts "https://host:1/a?b" into "host:1" and "/a?b".
func cutAuthority(raw string) (authority, rest string) {
	_, after, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		return after[:i], after[i:]
	}
	return after, ""
}

// legacyQuery decodes a query and escapes it again as JavaScript's
// encodeURIComponent does.
func legacyQuery(query string) string {
	var out strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			out.WriteByte('&')
		}
		k, v, _ := strings.Cut(pair, "=")
		out.WriteString(recode(k))
		out.WriteByte('=')
		out.WriteString(recode(v))
	}
	return out.String()
}

var unescaped = strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")

func recode(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return unescaped.Replace(url.QueryEscape(plain))
}

var twilioEvent = pick("id", "type", "data.messageSid|data.MessageSid|data.callSid|data.CallSid|data.sid", "time")

func twilioItems(r *Request) ([]Item, string) {
	if start := strings.TrimLeft(string(r.Body[:min(len(r.Body), 16)]), " \t\r\n"); strings.HasPrefix(start, "[") || strings.HasPrefix(start, "{") {
		return twilioEvents(r)
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return unread(r, errForm)
	}
	if r.Method == http.MethodGet {
		_, query, _ := strings.Cut(r.URL, "?")
		form, _ = url.ParseQuery(query)
	}
	field := func(names ...string) string {
		for _, n := range names {
			if v := form.Get(n); v != "" {
				return v
			}
		}
		return ""
	}
	it := Item{
		Type:   field("MessageStatus", "SmsStatus", "CallStatus", "RecordingStatus", "ConferenceStatus", "EventType"),
		Entity: field("MessageSid", "SmsSid", "CallSid", "RecordingSid", "ConferenceSid", "MessageSID"),
	}
	it.Version = field("SequenceNumber")
	it.OccurredRaw = field("Timestamp")
	it.OccurredAt = moment(it.OccurredRaw) // of voice callbacks, in the form of RFC 2822
	id := r.Header.Get("I-Twilio-Idempotency-Token")
	if id == "" && it.Entity != "" && it.Type != "" {
		id = strings.TrimSuffix(it.Entity+":"+it.Type+":"+it.Version, ":")
	}
	it, problem := identified(it, id, "form: it names no message or call", r.Body)
	return []Item{it}, problem
}

// twilioEvents reads Event Streams: CloudEvents, one or an array of them.
func twilioEvents(r *Request) ([]Item, string) {
	list, err := elements(r.Body)
	if err != nil {
		return unread(r, err)
	}
	items := make([]Item, len(list))
	var problems string
	for i, raw := range list {
		v, err := twilioEvent.from(raw, 0)
		it := Item{Type: v[1], Entity: v[2], OccurredAt: moment(v[3]), OccurredRaw: v[3], Body: raw}
		var problem string
		items[i], problem = identified(it, v[0], "payload: an event has no id", raw)
		if problem = join(problem, unreadable(err)); problem != "" {
			problems = problem
		}
	}
	return items, problems
}
