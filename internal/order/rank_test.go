package order

import (
	"bytes"
	"cmp"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

func rank(t testing.TB, how Comparison, parts ...string) []byte {
	t.Helper()
	r, err := Rank(parts, how)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each list is in order; "=" joins what ties.
func TestG5_RanksAreInTheOrderOfVersions(t *testing.T) {
	for how, list := range map[Comparison]string{
		Integer: "-100000000000000000000 -99999999999999999999 -10 -9 -1 0=-0=+0 1=01=1e0=1.0 2 9 10=1e1 11 99 100 18446744073709551615 18446744073709551616 1e30",
		Number:  "-1e9000 -1.5 -1.25=-1.250 -1 -0.5 -0.05 -1e-9000 0=0.0=0e5 1e-9000 0.05=5e-2 0.5 1 1.05 1.1=1.10 1.12 1.2 12 1e9000",
		Time: "0000-01-01T00:00:00Z 1969-12-31T23:59:58.5Z 1969-12-31T23:59:59Z 1969-12-31T23:59:59.25Z 1970-01-01T00:00:00Z=1970-01-01T01:00:00+01:00=1969-12-31t19:00:00-05:00 " +
			"1970-01-01T00:00:00.1Z=1970-01-01T00:00:00.100Z 2026-11-24T12:00:00Z 2026-11-24T12:00:00.000000001Z 2026-11-24T12:00:00.0000000011Z 2026-11-24T12:00:00.01Z 2026-11-24T12:00:01Z 9999-12-31T23:59:59Z",
		Unix:     "-1 0 1 1795400000=1795400000000=1795400000000000=1795400000000000000 1795400000.25=1795400000250 1795400001",
		Text:     "  0 1 10 2 A B a a! aa b é",
		Inferred: "-5 0 17=17.0=1.7e1 18 9999999999 1970-01-01T00:00:00Z 2026-11-24T12:00:00Z=2026-11-24T13:00:00+01:00 2026-11-24 2026-11-24T12:00:00 v10 v9",
	} {
		if how == Text {
			list = strings.TrimLeft(list, " ")
		}
		var groups [][]string
		for g := range strings.FieldsSeq(list) {
			groups = append(groups, strings.Split(g, "="))
		}
		for i, g := range groups {
			for j, h := range groups {
				for _, a := range g {
					for _, b := range h {
						if got := bytes.Compare(rank(t, how, a), rank(t, how, b)); got != cmp.Compare(i, j) {
							t.Errorf("%s: %s and %s compare as %d", Comparisons[how], a, b, got)
						}
					}
				}
			}
		}
	}
}

func TestRankRefuses(t *testing.T) {
	for how, list := range map[Comparison]string{
		Integer: "1.5 a 1e-1 0x1 1_0 ١ . 1. .1 1e 1e99999 -- +-1 e5",
		Number:  "a NaN Inf 1e99999 1e-99999 1.2.3 1,5",
		Time:    "1 2026-11-24 2026-11-24T12:00:00 2026-11-24T12:00:00.Z 2026-11-24T12:00:00,5Z 2026-11-24T12:00:60Z 2026-02-30T12:00:00Z 2026-11-24T12:00:00.5.5Z",
		Unix:    "now 2026-11-24T12:00:00Z",
	} {
		for _, s := range append(strings.Fields(list), "", " 1", "1 ") {
			if r, err := Rank([]string{s}, how); err == nil || r != nil {
				t.Errorf("%s: %q is taken", Comparisons[how], s)
			}
		}
	}
	if _, err := Rank([]string{"1", "x"}, Text, Integer); err == nil || err.Error() != `part 2: "x" is not a whole number` {
		t.Error(err)
	}
}

// Parts count one after the other, and no part runs into the next.
func TestG5_PartsCountOneAfterTheOther(t *testing.T) {
	order := [][]string{{"1", "9"}, {"1", "10"}, {"1.5", "0"}, {"2", ""}, {"2", "a"}, {"2", "a\x00"}, {"2", "a\x00b"}, {"2", "aa"}, {"10", "0"}, {"a", "z"}, {"a\x00", "a"}, {"aa", "0"}}
	for i, a := range order {
		for j, b := range order {
			if got := bytes.Compare(rank(t, Inferred, a...), rank(t, Inferred, b...)); got != cmp.Compare(i, j) {
				t.Errorf("%q and %q compare as %d", a, b, got)
			}
		}
	}
}

func TestG5_RandomVersionsCompareAsTheyShould(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	digits := func(n int) string {
		b := []byte(strconv.Itoa(r.IntN(10)))
		for range r.IntN(n) {
			b = append(b, byte('0'+r.IntN(10)*r.IntN(2)))
		}
		return string(b)
	}
	number := func() string {
		s := strings.Repeat("-", r.IntN(2)) + digits(25)
		if r.IntN(2) == 0 {
			s += "." + digits(12)
		}
		if r.IntN(3) == 0 {
			s += "e" + strconv.Itoa(r.IntN(40)-20)
		}
		return s
	}
	moment := func() string {
		at := time.Unix(r.Int64N(8e9)-4e9, r.Int64N(4)*250e6).In(time.FixedZone("", (r.IntN(49)-24)*1800))
		return at.Format(time.RFC3339Nano)
	}
	for range 20_000 {
		a, b := number(), number()
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		for _, how := range []Comparison{Number, Inferred} {
			if got := bytes.Compare(rank(t, how, a), rank(t, how, b)); got != x.Cmp(y) {
				t.Fatalf("%s and %s compare as %d", a, b, got)
			}
		}
		a, b = moment(), moment()
		p, _ := time.Parse(time.RFC3339, a)
		q, _ := time.Parse(time.RFC3339, b)
		if got := bytes.Compare(rank(t, Time, a), rank(t, Time, b)); got != p.Compare(q) {
			t.Fatalf("%s and %s compare as %d", a, b, got)
		}
	}
}

// Whatever it is fed: no panic, and a rank that compares as the reference does.
func FuzzRank(f *testing.F) {
	for _, s := range []string{"1", "-1.5e3", "2026-11-24T12:00:00.5+01:00", "a\x00b", "", "00", "1e10000"} {
		f.Add(s, "17")
		f.Add(s, s+"0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if got := bytes.Compare(rank(t, Text, a), rank(t, Text, b)); got != cmp.Compare(a, b) {
			t.Fatalf("texts %q and %q compare as %d", a, b, got)
		}
		if got, back := bytes.Compare(rank(t, Inferred, a), rank(t, Inferred, b)), bytes.Compare(rank(t, Inferred, b), rank(t, Inferred, a)); got != -back {
			t.Fatalf("%q and %q: %d and %d", a, b, got, back)
		}
		p, bad := Rank([]string{a}, Number)
		q, worse := Rank([]string{b}, Number)
		if bad != nil || worse != nil || len(a) > 300 || len(b) > 300 {
			return
		}
		x, ok := new(big.Rat).SetString(a)
		y, too := new(big.Rat).SetString(b)
		if !ok || !too {
			t.Fatalf("%q or %q is a number only here", a, b)
		}
		if bytes.Compare(p, q) != x.Cmp(y) {
			t.Fatalf("%s and %s compare as %d", a, b, bytes.Compare(p, q))
		}
	})
}
