package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/seawall"
)

// fromHere tells why a request without a token does not count as coming from a
// program on this machine; nil if it does. The peer's address alone is not
// enough: a page in a browser on this machine comes from loopback too, under
// its own name after DNS rebinding, or with its own origin; and so does
// everything that a reverse proxy passes on.
func fromHere(r *http.Request) error {
	why := ""
	switch {
	case !loopbackAddress(r.RemoteAddr):
		why = "the request comes from another machine"
	case !loopbackHost(r.Host):
		why = "the request is for a host that is not this machine"
	case !sameOrigin(r):
		why = "the request comes from a page of another origin"
	case proxied(r.Header):
		why = "the request was passed on by a proxy"
	default:
		return nil
	}
	return seawall.Errorf(seawall.ErrForbidden, "%s, and without a token only programs on this machine are let in", why).
		WithHint("on the gateway's machine: seawall token create --name me --scope admin")
}

// loopbackAddress tells whether host:port is on loopback.
func loopbackAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackName(host)
}

// loopbackHost tells whether a Host header names loopback, with a port or not.
func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return loopbackName(h)
	}
	return loopbackName(strings.Trim(host, "[]"))
}

func loopbackName(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// sameOrigin tells whether a browser, if it is one, asks for a page of ours.
// Another port of this machine is another origin.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	sent := r.Header.Values("Origin")
	if len(sent) == 0 {
		return true
	}
	u, err := url.Parse(sent[0])
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return err == nil && len(sent) == 1 && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}

func proxied(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}
