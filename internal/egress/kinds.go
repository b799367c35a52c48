package egress

import "net/netip"

// kind is what a person calls a range of addresses.
type kind struct {
	name  string
	never bool // no allow-list opens it
	whole bool // who allows one address of it means all of them
}

// suggest is the smallest prefix that is sensible to allow.
func (k kind) suggest(addr netip.Addr) netip.Prefix {
	if k.whole {
		for _, r := range ranges {
			if r.prefix.Contains(addr) {
				return r.prefix
			}
		}
	}
	return netip.PrefixFrom(addr, addr.BitLen())
}

const metadata = "an address where clouds keep the credentials of machines"

// ranges are tried in order; what none of them holds is left to the registries.
var ranges = []struct {
	prefix netip.Prefix
	kind
}{
	// Of these services some lie in ranges that are routed globally, or that
	// someone may want to allow. The link-local ones are refused as a whole.
	{cidr("168.63.129.16/32"), kind{name: metadata, never: true}},   // Azure
	{cidr("100.100.100.200/32"), kind{name: metadata, never: true}}, // Alibaba
	{cidr("192.0.0.192/32"), kind{name: metadata, never: true}},     // Oracle, the older one
	{cidr("fd00:ec2::/32"), kind{name: metadata, never: true}},      // Amazon
	{cidr("fd20:ce::/32"), kind{name: metadata, never: true}},       // Google
	{cidr("fd00:42::42/128"), kind{name: metadata, never: true}},    // Scaleway

	{cidr("169.254.0.0/16"), kind{name: "a link-local address, where clouds keep the credentials of machines", never: true}},
	{cidr("fe80::/10"), kind{name: "a link-local address", never: true}},
	{cidr("0.0.0.0/8"), kind{name: "an unspecified address", never: true}},
	{cidr("::/128"), kind{name: "an unspecified address", never: true}},
	{cidr("255.255.255.255/32"), kind{name: "a broadcast address", never: true}},
	{cidr("224.0.0.0/4"), kind{name: "a multicast address", never: true}},
	{cidr("ff00::/8"), kind{name: "a multicast address", never: true}},

	{cidr("127.0.0.0/8"), kind{name: "a loopback address", whole: true}},
	{cidr("::1/128"), kind{name: "a loopback address", whole: true}},
	{cidr("10.0.0.0/8"), kind{name: "a private address"}},
	{cidr("172.16.0.0/12"), kind{name: "a private address"}},
	{cidr("192.168.0.0/16"), kind{name: "a private address"}},
	{cidr("fc00::/7"), kind{name: "a private address"}},
	{cidr("fec0::/10"), kind{name: "a private address (site-local)"}},
	{cidr("100.64.0.0/10"), kind{name: "a carrier's shared address (CGNAT)"}},
	{cidr("198.18.0.0/15"), kind{name: "an address for benchmarks"}},

	{nat64, kind{name: "a NAT64 address", whole: true}},
	{nat64Local, kind{name: "a NAT64 address", whole: true}},
	{sixToFour, kind{name: "a 6to4 address"}},
	{teredo, kind{name: "a Teredo address"}},
	{compatible, kind{name: "an IPv4-compatible address"}},
	{translated, kind{name: "an IPv4-translated address"}},
}

// Ranges of addresses that carry an IPv4 address.
var (
	nat64      = cidr("64:ff9b::/96")    // RFC 6052
	nat64Local = cidr("64:ff9b:1::/48")  // RFC 8215
	sixToFour  = cidr("2002::/16")       // RFC 3056
	teredo     = cidr("2001::/32")       // RFC 4380
	compatible = cidr("::/96")           // RFC 4291, section 2.5.5.1
	translated = cidr("::ffff:0:0:0/96") // RFC 2765, section 2.1
)

func cidr(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func kindOf(addr netip.Addr) kind {
	for _, r := range ranges {
		if r.prefix.Contains(addr) {
			return r.kind
		}
	}
	return kind{}
}

// inside lists the IPv4 addresses that an IPv6 address carries, or may carry
// where that depends on a translator's settings.
func inside(addr netip.Addr) []netip.Addr {
	if !addr.Is6() || addr.IsLoopback() {
		return nil
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case nat64.Contains(addr), compatible.Contains(addr), translated.Contains(addr):
		return []netip.Addr{last}
	case nat64Local.Contains(addr):
		// RFC 6052, section 2.2: at the end behind a prefix of 96 bits, around
		// the ninth byte behind one of 48.
		around := netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]})
		if around == netip.AddrFrom4([4]byte{}) {
			return []netip.Addr{last}
		}
		if last == netip.AddrFrom4([4]byte{}) {
			return []netip.Addr{around}
		}
		return []netip.Addr{last, around}
	case sixToFour.Contains(addr):
		return []netip.Addr{netip.AddrFrom4([4]byte(b[2:6]))}
	case teredo.Contains(addr):
		return []netip.Addr{netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	}
	return nil
}
