package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestCleanShowsWhatATerminalWouldObey(t *testing.T) {
	for in, want := range map[string]string{
		"Größe № 3":               "Größe № 3",
		"a\x1b[2Jb":               `a\x1b[2Jb`,
		"\x1b]0;owned\a":          `\x1b]0;owned\x07`,
		"one\r\ntwo":              `one\r\ntwo`,
		"a\u202etxt.exe":          `a\u202etxt.exe`,
		"zero\u200bwidth":         `zero\u200bwidth`,
		"c1\u009bcsi":             `c1\u009bcsi`,
		"tag\U000e0041":           `tag\U000e0041`,
		"not utf-8: \xff\x80":     `not utf-8: \xff\x80`,
		"a real \ufffd character": `a real \ufffd character`,
		"del\x7f":                 `del\x7f`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := CleanLines("a\n\tb\rc\x1b"), "a\n\tb"+`\rc\x1b`; got != want {
		t.Errorf("CleanLines = %q, want %q", got, want)
	}
}

// Whatever it is given, nothing that Clean returns moves a cursor.
func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2Jb\xff\u202e")
	f.Fuzz(func(t *testing.T, in string) {
		for _, r := range Clean(in) {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r == 0xfffd {
				t.Fatalf("Clean(%q) leaves %U", in, r)
			}
		}
	})
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		back time.Duration
		want string
	}{
		{0, "now"},
		{12 * time.Second, "12s ago"},
		{200 * time.Second, "3m20s ago"},
		{59 * time.Minute, "59m ago"},
		{4 * time.Hour, "4h ago"},
		{51 * time.Hour, "2d3h ago"},
		{-5 * time.Minute, "in 5m"},
	} {
		if got := Ago(now.Add(-c.back), now); got != c.want {
			t.Errorf("%v back: %q, want %q", c.back, got, c.want)
		}
	}
	if got := Length(-1 << 63); got != "-106751d23h" { // as far as a duration goes
		t.Errorf("the longest: %q", got)
	}
	if got := When(time.Time{}, now); got != "-" {
		t.Errorf("no time: %q", got)
	}
}

func TestTableAlignsByWhatIsSeen(t *testing.T) {
	for _, color := range []bool{false, true} {
		tab := NewTable(Style{Color: color}, "id", "state", "n")
		tab.Row("a\x1bb", tab.State("dead"), 7)
		tab.Row("ü", tab.State("delivered"), 1234)
		tab.Row("", tab.State("held"), 1)
		var out bytes.Buffer
		if err := tab.Write(&out); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if color {
			if !strings.Contains(got, "\x1b[31mdead\x1b[0m     ") {
				t.Errorf("no colour, or padding inside it: %q", got)
			}
			continue
		}
		want := "" +
			"ID      STATE         N\n" +
			`a\x1bb  dead          7` + "\n" +
			"ü       delivered  1234\n" +
			"-       held          1\n"
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}

		// What comes later stands under what was there.
		out.Reset()
		tab.Row("x", "y", 2)
		if err := tab.Write(&out); err != nil {
			t.Fatal(err)
		}
		if got, want := out.String(), "x       y             2\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNoColourUnlessATerminalWantsIt(t *testing.T) {
	none := func(string) string { return "" }
	if StyleOf(new(bytes.Buffer), none).Color {
		t.Error("colours in a buffer")
	}
	if (Style{}).Bad("x") != "x" {
		t.Error("colours without being asked")
	}
}
