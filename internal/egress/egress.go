// Package egress says which addresses the gateway may call. There is one
// verdict, asked for when a configuration is checked and again on the address
// that each connection really goes to, so that no name can be rebound between
// the two.
//
// What is not globally routable by the registries of IANA is refused, and what
// merely wraps another address (IPv4-mapped, NAT64, 6to4, Teredo) is judged by
// the address inside as well. Private ranges are opened by an allow-list; the
// places where clouds keep the credentials of machines are not, by any.
package egress

import (
	"context"
	"net/netip"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/seawall-dev/seawall/seawall"
)

// Policy is an allow-list on top of the refusals that always hold. It is
// immutable and safe for concurrent use.
type Policy struct {
	allow []netip.Prefix
	base  *ssrf.Guardian
}

// New makes the policy that opens the given private ranges.
func New(allow []netip.Prefix) *Policy {
	p := &Policy{base: ssrf.New(ssrf.WithAnyPort())}
	for _, a := range allow {
		// A range of IPv4-mapped addresses means the IPv4 range.
		if a.Addr().Is4In6() && a.Bits() >= 96 {
			a = netip.PrefixFrom(a.Addr().Unmap(), a.Bits()-96)
		}
		p.allow = append(p.allow, a.Masked())
	}
	return p
}

// Check tells whether the address may be called: nil, or a seawall.ErrForbidden
// that says what kind of address it is, with the line of configuration that
// would allow it as its hint, if one would.
func (p *Policy) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return seawall.Errorf(seawall.ErrForbidden, "no valid address")
	}
	k := kindOf(addr)
	if k.never {
		return seawall.Errorf(seawall.ErrForbidden, "%s is %s, which is never called", addr, k.name)
	}
	// Allowing the wrapping does not allow everything that can be wrapped.
	for _, inner := range inside(addr) {
		if err := p.Check(inner); err != nil {
			return seawall.Errorf(seawall.ErrForbidden, "%s is %s for %w", addr, k.name, err)
		}
	}
	if p.allows(addr) {
		return nil
	}
	if k.name == "" && p.base.SafeAddr(addr) == nil {
		return nil
	}
	if k.name == "" {
		k.name = "not a globally routable address"
	}
	return seawall.Errorf(seawall.ErrForbidden, "%s is %s", addr, k.name).
		WithHint("to allow it: %s", p.line(k.suggest(addr)))
}

// CheckHost checks the host of a URL: an address, or a name, which it looks up.
// It fails if none of the addresses may be called, as a connection then would;
// one that may be is enough. An error of the lookup is returned as it is.
func (p *Policy) CheckHost(ctx context.Context, host string, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) error {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.Check(addr)
	}
	addrs, err := lookup(ctx, "ip", host)
	if err != nil {
		return err
	}
	var first error
	for _, a := range addrs {
		err := p.Check(a)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return seawall.Errorf(seawall.ErrForbidden, "%s has no address", host)
	}
	return seawall.Errorf(seawall.ErrForbidden, "%s: %w", host, first)
}

// Control is for [net.Dialer]: it checks the address that a socket is about to
// connect to.
func (p *Policy) Control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return seawall.Errorf(seawall.ErrForbidden, "network %s", network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return seawall.Errorf(seawall.ErrForbidden, "address %q: %w", address, err)
	}
	return p.Check(to.Addr())
}

func (p *Policy) allows(addr netip.Addr) bool {
	for _, a := range p.allow {
		if a.Contains(addr) {
			return true
		}
	}
	return false
}

// line is the configuration that allows what is allowed now, and one more.
func (p *Policy) line(more netip.Prefix) string {
	var b strings.Builder
	b.WriteString("egress: { allow: [")
	for _, a := range p.allow {
		b.WriteString(`"` + a.String() + `", `)
	}
	b.WriteString(`"` + more.String() + `"] }`)
	return b.String()
}
