package provider

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sample is what a provider's sample request consists of, unsigned.
type sample struct {
	contentType string // "" is JSON
	header      map[string]string
	body        string // with sampleTime and sampleUnix in it
}

// Stand-ins for the time at which a sample is made.
const (
	sampleTime = "2000-01-02T03:04:05Z"
	sampleUnix = "946782245"
)

// Sample makes an unsigned request of the kind that the provider sends, about
// an event of its own: n goes into the event's id, so that equal n means the
// same event again. n is to hold letters, digits and "-" only. The error is a
// *SettingError for an unknown provider.
func Sample(name, n, url string, now time.Time) (*Request, error) {
	e, err := find(name)
	if err != nil {
		return nil, err
	}
	s := e.sample(n)
	now = now.UTC()
	at := strings.NewReplacer(sampleTime, now.Format(time.RFC3339), sampleUnix, strconv.FormatInt(now.Unix(), 10))
	r := &Request{Method: http.MethodPost, URL: url, Header: http.Header{}, Body: []byte(at.Replace(s.body)), Now: now}
	for k, v := range s.header {
		r.Header.Set(k, at.Replace(v))
	}
	if s.contentType == "" {
		s.contentType = "application/json"
	}
	r.Header.Set("Content-Type", s.contentType)
	return r, nil
}

// SignRequest signs the request as the provider would at r.Now, with the newest
// secret of the settings. It sets headers and, where the scheme has the proof in
// the query, extends the URL. What only the provider's private key can sign
// (Discord, Standard Webhooks v1a) takes a private key, whsk_…, as the secret.
func SignRequest(s Settings, r *Request) error {
	e, err := find(s.Provider)
	if err != nil {
		return err
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return e.sign(s, r)
}

// numeric makes digits of n, for providers whose ids are numbers.
func numeric(n string) string {
	var sum uint32 = 2166136261 // FNV-1a
	for i := range len(n) {
		sum = (sum ^ uint32(n[i])) * 16777619
	}
	return strconv.FormatUint(uint64(sum), 10)
}
