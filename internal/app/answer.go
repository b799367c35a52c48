package app

import (
	"net/http"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/send"
	"github.com/seawall-dev/seawall/internal/settle"
	"github.com/seawall-dev/seawall/seawall"
)

// Headers of ours in an answer that is not what the system sent, byte for byte.
const (
	answeredBy = "Seawall-Answer"    // check, fallback
	answerCut  = "Seawall-Truncated" // true: it is the beginning
)

// usualAnswer is how much of a call's response is kept where the configuration
// does not say.
const usualAnswer = 1 << 20

func keep(y *config.System) int64 {
	if y.Answers > 0 {
		return y.Answers
	}
	return usualAnswer
}

// answerOf is the answer of a call that has ended by it; nil if there is none.
func answerOf(v settle.Verdict, r send.Reply, now time.Time) *seawall.Answer {
	if r.Response == nil || !v.Final() {
		return nil
	}
	h := r.Response.Headers.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Del(answeredBy)
	h.Del(answerCut)
	if r.Response.Truncated {
		h.Set(answerCut, "true")
	}
	return &seawall.Answer{At: now, Status: r.Response.Status, Headers: h, Body: r.Response.Body}
}
