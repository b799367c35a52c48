package receive

import "github.com/seawall-dev/seawall/internal/config"

// bodyShare is the part of the memory limit that bodies being received may take.
const bodyShare = 4

// admit counts a request and its body in, if both fit the limits. Everything
// that is admitted must leave.
func (rc *Receiver) admit(body int64, l config.Limits) bool {
	if rc.requests.Add(1) > int64(l.Requests) {
		rc.requests.Add(-1)
		return false
	}
	if held := rc.bytes.Add(body); held > l.Memory/bodyShare && held > body {
		rc.leave(body)
		return false
	}
	return true
}

func (rc *Receiver) leave(body int64) {
	rc.bytes.Add(-body)
	rc.requests.Add(-1)
}
