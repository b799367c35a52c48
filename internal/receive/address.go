package receive

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/seawall-dev/seawall/internal/config"
)

// publicURL is the URL as the sender called it: the path and query exactly as
// they came, behind the configured public_url or, without one, the address that
// the request itself, or a trusted proxy, names.
func publicURL(r *http.Request, c *config.Config) string {
	if c.PublicURL != nil {
		return strings.TrimSuffix(c.PublicURL.String(), "/") + r.RequestURI
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if trusted(r.RemoteAddr, c) {
		if s := last(r.Header.Get("X-Forwarded-Proto")); s == "http" || s == "https" {
			scheme = s
		}
		if h := last(r.Header.Get("X-Forwarded-Host")); h != "" {
			host = h
		}
	}
	return scheme + "://" + host + r.RequestURI
}

// remote is the sender's address: the peer's, or the nearest address in
// X-Forwarded-For that is not a trusted proxy's.
func remote(r *http.Request, c *config.Config) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if !trusted(r.RemoteAddr, c) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		peer = hop.String()
		if !contains(c.TrustedProxies, hop) {
			break
		}
	}
	return peer
}

func trusted(addr string, c *config.Config) bool {
	if len(c.TrustedProxies) == 0 {
		return false
	}
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && contains(c.TrustedProxies, ap.Addr())
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// last is the value that the nearest proxy added.
func last(list string) string {
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}
