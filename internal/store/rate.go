package store

import "time"

// permit is what the level of a rate counts in: millionths.
const permit = 1_000_000

// Grant is how many of the permits that are wanted a system has, and when there
// will be one if there is none. level is what of the burst was used up at a time,
// in millionths of a permit; it drains by one permit each r.Every. left is what is
// used up now, if any are given. Over any stretch of time no more are than r.Burst
// and one for each r.Every of it, whoever asks and however the rate changes
// meanwhile (the generic cell rate algorithm; what it rounds is in nobody's favour).
//
// PostgreSQL does the same by a function of its own: seawall_take.
func (r Rate) Grant(level int64, at, now time.Time, want int) (permits int, wait time.Duration, left int64) {
	every, burst := r.Every.Microseconds(), int64(max(r.Burst, 1))*permit
	if want <= 0 || every <= 0 {
		return max(want, 0), 0, level
	}
	passed := max(now.UnixMicro()-at.UnixMicro(), 0)
	if passed >= level/permit*every+every { // all of it, and the product below stays small
		level = 0
	} else {
		level -= min(level, drained(passed, every))
	}
	permits = int(min(int64(want), max(burst-level, 0)/permit))
	if permits == 0 {
		missing := level + permit - burst
		wait = time.Duration((missing*every+permit-1)/permit) * time.Microsecond
	}
	return permits, wait, level + int64(permits)*permit
}

// drained is passed/every in millionths, without overflow.
func drained(passed, every int64) int64 {
	return passed/every*permit + passed%every*permit/every
}
