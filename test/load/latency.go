package load

import (
	"slices"
	"time"
)

// Quantile returns the smallest of ds that at least the share q of them do not
// exceed (nearest rank); 0 of none. It sorts ds.
func Quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	rank := int(q*float64(len(ds)) + 0.999999)
	return ds[min(max(rank, 1), len(ds))-1]
}
