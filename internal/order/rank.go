// Package order decides what comes before what: versions of an entity become
// bytes that compare as the versions do. It is pure.
package order

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// Comparison says how a part of a version is compared.
type Comparison uint8

const (
	Inferred Comparison = iota // by what each value looks like: numbers before times before texts
	Number                     // decimal numbers of any size, exponents too
	Integer                    // whole ones
	Time                       // RFC 3339, any fraction and zone
	Unix                       // a number since 1970: of seconds, or by its size of milli-, micro- or nanoseconds
	Text                       // by its bytes
)

// Comparisons are the words for them in the configuration, in the same order.
var Comparisons = []string{"inferred", "number", "integer", "time", "unix", "text"}

// The kinds of ranks. Those of times are numbers, too: seconds since 1970.
const (
	kindNumber byte = 0x10
	kindTime   byte = 0x20
	kindText   byte = 0x30
)

// maxFraction bounds the digits of a second's fraction.
const maxFraction = 256

// maxExponent bounds numbers: 1e1000000 is none that orders events.
const maxExponent = 10_000

// Rank returns the order-preserving form of a version: bytes.Compare of two
// ranks is how their parts compare, one after the other, the first difference
// counting. Equal ones are ties: 1.0 and 1, or one moment in two zones. how has one
// comparison for each part; where there are fewer, the last holds for the rest, and
// without any it is Inferred.
//
// The error says in plain words which part cannot be compared so.
func Rank(parts []string, how ...Comparison) ([]byte, error) {
	var out []byte
	c := Inferred
	for i, part := range parts {
		if i < len(how) {
			c = how[i]
		}
		var err error
		if out, err = appendRank(out, part, c); err != nil {
			if len(parts) > 1 {
				err = fmt.Errorf("part %d: %w", i+1, err)
			}
			return nil, err
		}
	}
	return out, nil
}

func appendRank(out []byte, s string, c Comparison) ([]byte, error) {
	switch c {
	case Inferred:
		if t, ok := parseTime(s); ok {
			return t.append(append(out, kindTime)), nil
		}
		if n, ok := parseDecimal(s); ok {
			return n.append(append(out, kindNumber)), nil
		}
	case Number, Integer:
		n, ok := parseDecimal(s)
		if !ok || c == Integer && !n.whole() {
			return nil, invalid(s, c)
		}
		return n.append(append(out, kindNumber)), nil
	case Unix:
		n, ok := parseDecimal(s)
		if !ok {
			return nil, invalid(s, c)
		}
		return n.seconds().append(append(out, kindTime)), nil
	case Time:
		t, ok := parseTime(s)
		if !ok {
			return nil, invalid(s, c)
		}
		return t.append(append(out, kindTime)), nil
	}
	return appendText(append(out, kindText), s), nil
}

func invalid(s string, c Comparison) error {
	what := map[Comparison]string{
		Number: "a number", Integer: "a whole number", Unix: "a number of seconds since 1970", Time: "a time (RFC 3339)",
	}[c]
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return seawall.Errorf(seawall.ErrInvalid, "%q is not %s", s, what)
}

// appendText writes bytes so that their end sorts before whatever may follow.
func appendText(out []byte, s string) []byte {
	for i := range len(s) {
		if out = append(out, s[i]); s[i] == 0 {
			out = append(out, 0xff)
		}
	}
	return append(out, 0, 1)
}

// decimal is ±0.DIGITS × 10^exponent; the first and the last digit are not 0.
// Without digits it is 0.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func newDecimal(negative bool, digits string, exponent int) decimal {
	short := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(short)
	short = strings.TrimRight(short, "0")
	if short == "" {
		return decimal{}
	}
	return decimal{negative, short, exponent}
}

// parseDecimal reads a number as JSON writes it, with leading zeros and a plus
// taken too.
func parseDecimal(s string) (decimal, bool) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return decimal{}, false
		}
		s = s[:i]
	}
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || !digits(whole) || point && (fraction == "" || !digits(fraction)) {
		return decimal{}, false
	}
	return newDecimal(negative, whole+fraction, len(whole)+exponent), true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (d decimal) whole() bool { return len(d.digits) <= d.exponent || d.digits == "" }

// seconds makes seconds of a time since 1970 whose size tells the unit: up to
// 10^11 they are seconds (the year 5138), up to 10^14 milliseconds, up to 10^17
// microseconds, beyond that nanoseconds.
func (d decimal) seconds() decimal {
	switch {
	case d.exponent > 17:
		d.exponent -= 9
	case d.exponent > 14:
		d.exponent -= 6
	case d.exponent > 11:
		d.exponent -= 3
	}
	return d
}

// append writes sign, exponent and digits; those of a negative number inverted, so
// that the larger one sorts first.
func (d decimal) append(out []byte) []byte {
	if d.digits == "" {
		return append(out, 0x80)
	}
	sign, flip := byte(0xc0), byte(0)
	if d.negative {
		sign, flip = 0x40, 0xff
	}
	e := uint32(int64(d.exponent) + 1<<31)
	out = append(out, sign, byte(e>>24)^flip, byte(e>>16)^flip, byte(e>>8)^flip, byte(e)^flip)
	for i := range len(d.digits) {
		out = append(out, d.digits[i]^flip)
	}
	return append(out, flip) // sorts before any digit
}

// parseTime reads a time of RFC 3339 as seconds since 1970, with all digits of its
// fraction.
func parseTime(s string) (decimal, bool) {
	const least = len("2006-01-02T15:04:05Z")
	if len(s) < least {
		return decimal{}, false
	}
	s = strings.ToUpper(s)
	head, rest := s[:least-1], s[least-1:]
	fraction := ""
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if fraction, rest = rest[1:n], rest[n:]; fraction == "" || len(fraction) > maxFraction {
			return decimal{}, false
		}
	}
	t, err := time.Parse(time.RFC3339, head+rest)
	if err != nil || strings.ContainsAny(rest, ".,") {
		return decimal{}, false
	}
	// The fraction counts on from the second, before 1970 too.
	if unix := t.Unix(); len(fraction) <= 9 && unix < 9e9 && unix > -9e9 { // fits, as nearly always
		n, scale := int64(0), int64(1)
		for i := range len(fraction) {
			n, scale = n*10+int64(fraction[i]-'0'), scale*10
		}
		if n += unix * scale; n < 0 {
			return whole(true, strconv.FormatInt(-n, 10), len(fraction)), true
		}
		return whole(false, strconv.FormatInt(n, 10), len(fraction)), true
	}
	n := new(big.Int)
	n.SetString(fraction, 10)
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil)
	n.Add(n, new(big.Int).Mul(big.NewInt(t.Unix()), scale))
	return whole(n.Sign() < 0, new(big.Int).Abs(n).String(), len(fraction)), true
}

// whole is the number of the digits, of which the last ones are a fraction.
func whole(negative bool, digits string, fraction int) decimal {
	return newDecimal(negative, digits, len(digits)-fraction)
}
