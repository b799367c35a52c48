package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/seawall"
)

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func TestVerdicts(t *testing.T) {
	everything := prefixes("0.0.0.0/0", "::/0")
	for _, c := range []struct {
		addr  string
		allow []netip.Prefix
		err   string // part of the message; "" means that it may be called
		hint  string
	}{
		{addr: "8.8.8.8"},
		{addr: "1.1.1.1"},
		{addr: "2606:4700:4700::1111"},
		{addr: "::ffff:8.8.8.8"}, // a connection to it is one to 8.8.8.8

		{addr: "127.0.0.1", err: "loopback", hint: `egress: { allow: ["127.0.0.0/8"] }`},
		{addr: "127.8.9.1", err: "loopback", hint: `egress: { allow: ["127.0.0.0/8"] }`},
		{addr: "::1", err: "loopback", hint: `egress: { allow: ["::1/128"] }`},
		{addr: "10.20.3.4", err: "private", hint: `egress: { allow: ["10.20.3.4/32"] }`},
		{addr: "172.16.0.1", err: "private"},
		{addr: "172.32.0.1"},
		{addr: "192.168.1.1", err: "private"},
		{addr: "fd12:3456::1", err: "private", hint: `egress: { allow: ["fd12:3456::1/128"] }`},
		{addr: "100.64.0.1", err: "CGNAT"},
		{addr: "198.18.0.1", err: "benchmarks"},
		{addr: "198.19.255.255", err: "benchmarks"},
		{addr: "192.0.2.1", err: "not a globally routable"},
		{addr: "192.0.0.8", err: "not a globally routable"},
		{addr: "240.0.0.1", err: "not a globally routable"},
		{addr: "2001:db8::1", err: "not a globally routable"},
		{addr: "4000::1", err: "not a globally routable"},
		{addr: "100::1", err: "not a globally routable"},
		{addr: "fec0::1", err: "site-local"},
		{addr: "64:ff9b::808:808", err: "NAT64", hint: `egress: { allow: ["64:ff9b::/96"] }`},
		{addr: "64:ff9b:1::808:808", err: "NAT64"},
		{addr: "2002:808:808::1", err: "6to4"},
		{addr: "2001::f7f7:f7f7", err: "Teredo"},
		{addr: "::8.8.8.8", err: "IPv4-compatible"},
		{addr: "::ffff:0:8.8.8.8", err: "IPv4-translated"},
		{addr: "::ffff:127.0.0.1", err: "loopback", hint: `egress: { allow: ["127.0.0.0/8"] }`},
		{addr: "::ffff:10.0.0.1", err: "private", hint: `egress: { allow: ["10.0.0.1/32"] }`},

		{addr: "127.0.0.1", allow: prefixes("127.0.0.0/8")},
		{addr: "::ffff:127.0.0.1", allow: prefixes("127.0.0.0/8")},
		{addr: "127.0.0.1", allow: prefixes("::ffff:127.0.0.0/104")},
		{addr: "10.20.3.4", allow: prefixes("10.20.3.99/16")},
		{addr: "10.21.3.4", allow: prefixes("10.20.0.0/16"), err: "private", hint: `egress: { allow: ["10.20.0.0/16", "10.21.3.4/32"] }`},
		{addr: "fd12:3456::1", allow: prefixes("fd00::/8")},
		{addr: "100.64.0.1", allow: prefixes("100.64.0.0/10")},
		{addr: "64:ff9b::808:808", allow: prefixes("64:ff9b::/96")},
		{addr: "::1", allow: prefixes("::1/128")},
		{addr: "::1", allow: prefixes("127.0.0.0/8"), err: "loopback"},

		// What is wrapped is judged too, even when the wrapping is allowed.
		{addr: "64:ff9b::7f00:1", allow: prefixes("64:ff9b::/96"), err: "loopback"},
		{addr: "64:ff9b::a9fe:a9fe", allow: everything, err: "credentials"},
		{addr: "64:ff9b:1::a9fe:a9fe", allow: everything, err: "credentials"},
		{addr: "64:ff9b:1:a9fe:a9:fe00:808:808", allow: everything, err: "credentials"},
		{addr: "2002:a9fe:a9fe::1", allow: everything, err: "credentials"},
		{addr: "2001::5601:5601", allow: everything, err: "credentials"},
		{addr: "::a9fe:a9fe", allow: everything, err: "credentials"},
		{addr: "::ffff:0:a9fe:a9fe", allow: everything, err: "credentials"},

		// What no allow-list opens.
		{addr: "169.254.169.254", allow: everything, err: "credentials"},
		{addr: "169.254.170.2", allow: everything, err: "credentials"},
		{addr: "::ffff:169.254.169.254", allow: prefixes("169.254.169.254/32"), err: "credentials"},
		{addr: "fd00:ec2::254", allow: everything, err: "credentials"},
		{addr: "fd00:ec2::23", allow: everything, err: "credentials"},
		{addr: "fd20:ce::254", allow: everything, err: "credentials"},
		{addr: "100.100.100.200", allow: everything, err: "credentials"},
		{addr: "168.63.129.16", allow: everything, err: "credentials"},
		{addr: "168.63.129.16", err: "credentials"},
		{addr: "192.0.0.192", allow: everything, err: "credentials"},
		{addr: "fe80::a9fe:a9fe", allow: everything, err: "link-local"},
		{addr: "fe80::1%eth0", allow: everything, err: "link-local"},
		{addr: "0.0.0.0", allow: everything, err: "unspecified"},
		{addr: "0.1.2.3", allow: everything, err: "unspecified"},
		{addr: "::", allow: everything, err: "unspecified"},
		{addr: "255.255.255.255", allow: everything, err: "broadcast"},
		{addr: "224.0.0.1", allow: everything, err: "multicast"},
		{addr: "ff02::1", allow: everything, err: "multicast"},
	} {
		err := New(c.allow).Check(netip.MustParseAddr(c.addr))
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s, allowed %v: %v", c.addr, c.allow, err)
		case c.err == "":
		case err == nil:
			t.Errorf("%s, allowed %v: may be called, want %q", c.addr, c.allow, c.err)
		case !strings.Contains(err.Error(), c.err) || !errors.Is(err, seawall.ErrForbidden):
			t.Errorf("%s: %v, want %q", c.addr, err, c.err)
		case c.hint != "" && seawall.Hint(err) != "to allow it: "+c.hint:
			t.Errorf("%s: hint %q, want %q", c.addr, seawall.Hint(err), c.hint)
		case strings.Contains(err.Error(), "never") && seawall.Hint(err) != "":
			t.Errorf("%s: hint %q at what no list opens", c.addr, seawall.Hint(err))
		}
	}
	if err := New(everything).Check(netip.Addr{}); err == nil {
		t.Error("the zero address may be called")
	}
}

// The line in the hint must do what it says.
func TestHintAllows(t *testing.T) {
	for _, s := range []string{"127.0.0.1", "::1", "10.1.2.3", "fd12::1", "100.64.3.4", "64:ff9b::808:808", "192.0.2.9", "198.18.3.3", "2002:808:808::1"} {
		addr := netip.MustParseAddr(s)
		hint := seawall.Hint(New(nil).Check(addr))
		_, list, _ := strings.Cut(hint, `["`)
		list, _, _ = strings.Cut(list, `"]`)
		if err := New(prefixes(list)).Check(addr); err != nil {
			t.Errorf("%s: after %q: %v", s, hint, err)
		}
	}
}

func TestControlGivesTheSameVerdict(t *testing.T) {
	p := New(prefixes("10.0.0.0/8"))
	for _, s := range []string{"8.8.8.8", "10.1.1.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "2606:4700::1"} {
		addr := netip.MustParseAddr(s)
		network := "tcp4"
		if addr.Is6() {
			network = "tcp6"
		}
		check, control := p.Check(addr), p.Control(network, netip.AddrPortFrom(addr, 443).String(), nil)
		if (check == nil) != (control == nil) {
			t.Errorf("%s: check says %v, control %v", s, check, control)
		}
	}
	if p.Control("udp4", "8.8.8.8:53", nil) == nil || p.Control("tcp4", "dns.google:53", nil) == nil {
		t.Error("a network or address that is not understood may be called")
	}
}

func TestControlGuardsTheDialer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = (&net.Dialer{Control: New(nil).Control}).Dial("tcp", ln.Addr().String())
	if !errors.Is(err, seawall.ErrForbidden) {
		t.Errorf("dialled loopback: %v", err)
	}
	c, err := (&net.Dialer{Control: New(prefixes("127.0.0.0/8")).Control}).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("loopback is allowed: %v", err)
	}
	c.Close()
}

func TestCheckHost(t *testing.T) {
	names := map[string][]netip.Addr{
		"inside.example": {netip.MustParseAddr("10.0.0.7")},
		"both.example":   {netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("8.8.8.8")},
	}
	noSuchHost := errors.New("no such host")
	lookup := func(_ context.Context, network, host string) ([]netip.Addr, error) {
		if a, ok := names[host]; ok && network == "ip" {
			return a, nil
		}
		return nil, noSuchHost
	}
	p := New(nil)
	for host, want := range map[string]string{
		"inside.example": "inside.example: 10.0.0.7 is a private address",
		"both.example":   "",
		"[::1]":          "::1 is a loopback address",
		"8.8.4.4":        "",
		"gone.example":   "no such host",
	} {
		got := ""
		if err := p.CheckHost(t.Context(), host, lookup); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	if hint := seawall.Hint(p.CheckHost(t.Context(), "inside.example", lookup)); hint != `to allow it: egress: { allow: ["10.0.0.7/32"] }` {
		t.Errorf("hint %q", hint)
	}
}
