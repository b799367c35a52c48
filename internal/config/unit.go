package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

var errUnit = errors.New("no unit")

// parseDuration reads 10s, 75h, 30d, 1h30m, 500ms and 0.
func parseDuration(s string) (time.Duration, error) {
	units := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}
	if s == "0" {
		return 0, nil
	}
	var sum float64
	for rest := s; ; {
		n, unit, after, err := quantity(rest)
		if err != nil {
			return 0, err
		}
		u, ok := units[unit]
		if !ok {
			return 0, errUnit
		}
		sum += n * float64(u)
		if rest = after; rest == "" {
			break
		}
	}
	if sum > math.MaxInt64/2 {
		return 0, fmt.Errorf("too long")
	}
	return time.Duration(sum), nil
}

// parseSize reads 5MiB, 512KiB, 1GiB, 100kB and plain bytes.
func parseSize(s string) (int64, error) {
	units := map[string]float64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
	}
	n, unit, after, err := quantity(s)
	if err != nil {
		return 0, err
	}
	u, ok := units[unit]
	if !ok || after != "" {
		return 0, errUnit
	}
	if n*u > math.MaxInt64/2 {
		return 0, errors.New("too large")
	}
	return int64(n * u), nil
}

// quantity cuts a number and its unit from the front of s.
func quantity(s string) (n float64, unit, rest string, err error) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i < 0 {
		i = len(s)
	}
	if n, err = strconv.ParseFloat(s[:i], 64); err != nil {
		return 0, "", "", errors.New("no number")
	}
	unit = strings.TrimLeft(s[i:], " ")
	if j := strings.IndexAny(unit, "0123456789."); j >= 0 {
		return n, strings.TrimRight(unit[:j], " "), unit[j:], nil
	}
	return n, unit, "", nil
}

// parsePrefix reads a range of addresses, or one address as a range of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
