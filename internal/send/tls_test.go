package send

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// certificate makes a self-signed one for host, with its pool.
func certificate(t *testing.T, host string, from, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLSTrouble(t *testing.T) {
	at := time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		host        string
		from, until time.Time
		trusted     bool
		error       string
	}{
		{"good", "localhost", at.Add(-time.Hour), at.Add(time.Hour), true, ""},
		{"expired", "localhost", at.Add(-2 * time.Hour), at.Add(-time.Hour), true, "tls: certificate expired on 2026-02-28T11:00:00Z, for host localhost"},
		{"not yet", "localhost", at.Add(time.Hour), at.Add(2 * time.Hour), true, "tls: certificate not valid before 2026-02-28T13:00:00Z, for host localhost"},
		{"wrong host", "other.example", at.Add(-time.Hour), at.Add(time.Hour), true, "tls: certificate is for other.example, not for host localhost"},
		{"unknown", "localhost", at.Add(-time.Hour), at.Add(time.Hour), false, "tls: certificate signed by an unknown authority, for host localhost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, pool := certificate(t, c.host, c.from, c.until)
			if !c.trusted {
				pool = x509.NewCertPool()
			}
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			srv.Config.ErrorLog = log.New(io.Discard, "", 0)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			srv.StartTLS()
			defer srv.Close()
			s := sender(t, Options{TLS: &tls.Config{RootCAs: pool, Time: func() time.Time { return at }}})
			url := strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
			r := s.Do(t.Context(), hook(t, url), limits)
			if text(r) != c.error || r.Sent != (c.error == "") || (r.Response == nil) != (c.error != "") {
				t.Errorf("%+v, want %q", r, c.error)
			}
		})
	}
}

func TestTLSToPlainPort(t *testing.T) {
	srv := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	r := sender(t, Options{}).Do(t.Context(), hook(t, strings.Replace(srv.URL, "http:", "https:", 1)), limits)
	if r.Sent || !strings.Contains(text(r), "does not speak TLS") {
		t.Errorf("%+v", r)
	}
}
