package provider

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// papers are the certificates and keys that a vector holds, served as if they
// had been fetched. What was asked for is kept.
type papers struct {
	Certificates map[string]string `json:"certificates"` // by URL
	JWKS         struct {
		Keys []json.RawMessage `json:"keys"`
	} `json:"jwks"`

	asked []string
}

// Do serves a certificate by its URL, a single key by the id in a posted
// "key_id", and otherwise an empty answer if the vector expects a confirmation.
func (p *papers) Do(r *http.Request) (*http.Response, error) {
	u := r.URL.String()
	p.asked = append(p.asked, u)
	if pem, ok := p.Certificates[u]; ok {
		return paper(http.StatusOK, []byte(pem)), nil
	}
	if r.Method == http.MethodPost {
		var want struct {
			Key string `json:"key_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
			return nil, err
		}
		for _, k := range p.JWKS.Keys {
			var has struct {
				ID string `json:"kid"`
			}
			if json.Unmarshal(k, &has) == nil && has.ID == want.Key {
				return paper(http.StatusOK, slices.Concat([]byte(`{"key":`), k, []byte(`}`))), nil
			}
		}
	}
	if strings.Contains(u, "Action=ConfirmSubscription") {
		return paper(http.StatusOK, nil), nil
	}
	return paper(http.StatusNotFound, nil), nil
}

func paper(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}
