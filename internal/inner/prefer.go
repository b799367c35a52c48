package inner

import (
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/seawall"
)

// maxWait is the longest that a request is kept waiting for the end of a call.
const maxWait = 60 * time.Second

// prefer reads how long a client would wait for the result (RFC 7240, section
// 4.3), at most maxWait. What cannot be read is ignored, as that says.
func prefer(values []string) (wait time.Duration, asked bool) {
	for _, p := range split(strings.Join(values, ","), ',') {
		first := split(p, ';')[0]
		name, value, _ := strings.Cut(first, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			return 0, false
		}
		return min(time.Duration(n)*time.Second, maxWait), true
	}
	return 0, false
}

// split cuts a list at a separator that is not within quotes.
func split(s string, at byte) (out []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == at && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// applied says which wait was granted.
func applied(wait time.Duration) string { return "wait=" + strconv.Itoa(int(wait/time.Second)) }

// patience reads the header Seawall-Wait: seconds, or a duration.
func patience(v string) (time.Duration, error) {
	if v = strings.TrimSpace(v); v == "" {
		return usualWait, nil
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxWait), nil
	}
	if d, err := time.ParseDuration(v); err == nil && d >= 0 {
		return min(d, maxWait), nil
	}
	return 0, seawall.Errorf(seawall.ErrInvalid, "Seawall-Wait: not a time").WithHint("seconds, 60 at most, for example 20")
}
