package config

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seawall-dev/seawall/internal/egress"
	"github.com/seawall-dev/seawall/internal/verify"
)

// auth reads how a system's requests are authenticated. A client certificate may
// stand under auth too, alone or beside one of the others.
func (o *object) auth(c *Config, s *System, policy *egress.Policy) {
	v := o.get("auth")
	a := v.open("auth")
	if v.given() && v.node.kind == mapping && len(v.node.pairs) == 0 {
		v.fail("one of: bearer, basic, header, query, oauth2, hmac, mtls", "says nothing")
	}
	readers := []struct {
		key  string
		read func(v value) Auth
	}{
		{"bearer", func(v value) Auth { return Bearer{v.token()} }},
		{"basic", basic},
		{"header", headerKey},
		{"query", queryKey},
		{"oauth2", func(v value) Auth { return oauth2(c, v, policy) }},
		{"hmac", hmac},
	}
	first := ""
	for _, r := range readers {
		v := a.get(r.key)
		out := r.read(v)
		switch {
		case !a.has(r.key):
			continue
		case first != "":
			v.failKey("keep one of the two", "beside %s", first)
			continue
		}
		first, s.Auth = r.key, out
	}
	mtls, beside := a.get("mtls"), o.get("tls")
	s.TLS = certificates(beside)
	if t := certificates(mtls); t != nil {
		if s.TLS != nil {
			mtls.failKey("keep one of the two", "beside tls")
		}
		s.TLS = t
	}
}

// needed is what stands under a key that must be there, if the object is.
func (o *object) needed(key, hint string) value {
	v := o.get(key)
	if o.node != nil && !o.has(key) {
		v.failKey(hint, "is missing")
	}
	return v
}

// token is a secret that a header can hold.
func (v value) token() string {
	s := v.secret()
	if !isHeaderText(s) || strings.TrimSpace(s) != s {
		v.fail("is there a line break at its end?", "what it refers to cannot stand in a header")
	}
	return s
}

func basic(v value) Auth {
	o := v.open("basic")
	user := o.needed("username", "")
	b := Basic{User: user.text(), Password: o.needed("password", secretHint).secret()}
	if strings.Contains(b.User, ":") {
		user.fail("basic auth puts one between name and password", "a username holds no colon")
	}
	return b
}

func headerKey(v value) Auth {
	o := v.open("header_key")
	name := o.needed("name", "for example X-Api-Key")
	k := HeaderKey{Name: http.CanonicalHeaderKey(name.text()), Value: o.needed("value", secretHint).token()}
	if k.Name != "" && name.headerName(k.Name) {
		if why := ours(k.Name); why != "" {
			name.fail("a system's key goes into a header that it names", "the gateway sets %s itself", k.Name)
		}
	}
	return k
}

func queryKey(v value) Auth {
	o := v.open("query_key")
	return QueryKey{Name: o.needed("name", "for example api_key").text(), Value: o.needed("value", secretHint).secret()}
}

const sealHint = `make one with "openssl rand -base64 32", and refer to it: seal: { key: "${SEAWALL_SEAL_KEY}" }`

func oauth2(c *Config, v value, policy *egress.Policy) Auth {
	o := v.open("oauth2")
	at := o.needed("token_url", "for example https://auth.example.com/oauth/token")
	a := OAuth2{
		TokenURL: at.remote(policy, "https://auth.example.com/oauth/token"),
		ID:       o.needed("client_id", "").text(),
		Secret:   o.needed("client_secret", secretHint).secret(),
		InBody:   o.get("send").oneOf("header", "header", "body") == "body",
		Audience: o.get("audience").text(),
		Refresh:  o.get("refresh_token").secret(),
	}
	if a.TokenURL == nil {
		a.TokenURL = &url.URL{}
	} else if a.TokenURL.User != nil {
		at.fail("client_id and client_secret have keys of their own", "credentials do not stand in this URL")
	}
	scopes := o.get("scopes")
	for _, item := range scopes.list() {
		if s := item.text(); strings.ContainsAny(s, " \t\"\\") {
			item.fail("several are a list: [read, write]", "%s is not one scope", item.quote(s))
		} else if s != "" {
			a.Scopes = append(a.Scopes, s)
		}
	}
	if o.has("refresh_token") && len(c.Seal) == 0 {
		o.get("refresh_token").failKey(sealHint, "its successors are kept in the store, sealed, and there is no key to seal them with")
	}
	return a
}

func hmac(v value) Auth {
	o := v.open("hmac")
	h := HMAC{
		Secret: o.needed("secret", secretHint).secret(),
		Hash:   o.get("algorithm").oneOf("sha256", "sha256", "sha512"),
		Encode: o.get("encoding").oneOf("hex", "hex", "base64"),
		Header: usualName(o.needed("header", "for example X-Signature")),
		Prefix: o.get("prefix").text(),
		Stamp:  usualName(o.get("timestamp")),
	}
	if o.has("prefix") {
		o.get("prefix").headerText()
	}
	signed := o.get("signed")
	text := signed.text()
	if text == "" {
		return h
	}
	var err error
	switch h.Content, err = verify.ParseTemplate(text); {
	case err != nil:
		signed.fail("for example {timestamp}.{body}", "%v", err)
	case h.Content.Uses("id"):
		signed.fail("the key of a call is {header:Idempotency-Key}", "{id} is for webhooks")
	case h.Content.Uses("timestamp") && h.Stamp == "":
		signed.fail("timestamp: X-Timestamp names the header that the time is sent in", "{timestamp} is signed, but nothing says where it is sent")
	}
	return h
}

// usualName is the name of a header, as it is usually written.
func usualName(v value) string {
	s := v.text()
	if s == "" || !v.headerName(s) {
		return ""
	}
	return http.CanonicalHeaderKey(s)
}

// certificates are those of ours and those that we trust.
func certificates(v value) *tls.Config {
	o := v.open("tls")
	cert, key, ca := o.get("cert"), o.get("key"), o.get("ca")
	certPEM, keyPEM, caPEM := cert.text(), key.secret(), ca.text()
	if !v.given() {
		return nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case o.has("cert") != o.has("key"):
		v.failKey("cert: file:client.pem, key: file:client.key", "a certificate and its key go together")
	case certPEM != "" && keyPEM != "":
		pair, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
		if err != nil {
			cert.fail("both in PEM, as a reference: file:client.pem", "not a certificate with its key")
			break
		}
		out.Certificates = append(out.Certificates, pair)
	}
	if caPEM != "" {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM([]byte(caPEM)) {
			ca.fail("in PEM, as a reference: file:ca.pem", "holds no certificate")
		}
	}
	if o.node != nil && len(o.node.pairs) == 0 {
		v.fail("cert and key, or ca, or all three", "says nothing")
	}
	return out
}

// setsHeaders are those that the authentication of a system sets.
func (s *System) setsHeaders() []string {
	switch a := s.Auth.(type) {
	case Bearer, Basic, OAuth2:
		return []string{"Authorization"}
	case HeaderKey:
		return []string{a.Name}
	case HMAC:
		return slices.DeleteFunc([]string{a.Header, a.Stamp}, func(s string) bool { return s == "" })
	}
	return nil
}
