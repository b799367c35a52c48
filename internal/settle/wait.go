package settle

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
)

const (
	factor = 4   // from one delay to the next
	jitter = 0.2 // either way

	maxAsked = 24 * time.Hour
)

// Backoff is the delay before the n-th retry, n from 1: p.First, four times as
// long each time, at most p.Cap, and all that up to a fifth shorter or longer.
// random returns numbers from 0 up to 1.
func Backoff(p config.Retry, n int, random func() float64) time.Duration {
	return time.Duration(float64(delay(p, n)) * (1 - jitter + 2*jitter*random()))
}

// delay is that without jitter.
func delay(p config.Retry, n int) time.Duration {
	d := p.First
	for range n - 1 {
		if d >= p.Cap/factor {
			return p.Cap
		}
		d *= factor
	}
	return min(d, p.Cap)
}

// fits is how many retries are made within p.For if each delay takes its
// longest, the last one at the very end.
func fits(p config.Retry) int {
	var used time.Duration
	for n := 1; n < p.Max; n++ {
		used += time.Duration(float64(delay(p, n)) * (1 + jitter))
		if used >= p.For {
			return n
		}
	}
	return p.Max
}

// ErrNoRetryAfter is that there is no Retry-After header.
var ErrNoRetryAfter = errors.New("no Retry-After")

// RetryAfter reads how long a destination asks us to wait, from its Retry-After
// header: whole seconds or an HTTP date (RFC 9110, section 10.2.3), measured
// from now. A date already past gives 0; waits above 24 h are cut to it, so one
// reply cannot park a delivery for good.
//
// It returns ErrNoRetryAfter if v is empty, and an error quoting v if it is
// neither form; callers then use Backoff.
func RetryAfter(v string, now time.Time) (time.Duration, error) {
	v = strings.Trim(v, " \t")
	if v == "" {
		return 0, ErrNoRetryAfter
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil || n > uint64(maxAsked/time.Second) {
			return maxAsked, nil
		}
		return time.Duration(n) * time.Second, nil
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, fmt.Errorf("Retry-After %q is neither seconds nor a date", clip(v))
	}
	return min(max(at.Sub(now), 0), maxAsked), nil
}

// askedToWait is what an answer other than yes asks for, 0 if nothing sensible.
// RFC 9110 gives the header a meaning with 503 and 3xx, RFC 6585 with 429;
// others use it with 403 and 4xx at large, and mean the same.
func askedToWait(r send.Reply, now time.Time) time.Duration {
	if r.Response == nil {
		return 0
	}
	d, err := RetryAfter(r.Response.Headers.Get("Retry-After"), now)
	if err != nil {
		return 0
	}
	return d
}
