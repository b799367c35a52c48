package api

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// deeds words what was done. Others are words already.
var deeds = map[string]string{
	"replay": "sent again",
	"cancel": "canceled",
	"skip":   "skipped",
	"plan":   "planned again",
	"merge":  "merged",
	"link":   "linked",
	"unlink": "link removed",
}

// WordAction is the one place that words what a person or a program with a token did.
func WordAction(a Action) string {
	d := maps.Clone(a.Detail)
	take := func(key string) string {
		v := d[key]
		delete(d, key)
		return v
	}
	text := cmp.Or(deeds[a.What], a.What) + " by " + a.By
	if a.What == "merge" {
		text += ": " + take("from") + " is this one now"
	}
	switch n := take("count"); n {
	case "":
	case "1":
		text += ", in an order for this one only"
	default:
		text += ", in an order for " + n + " deliveries"
	}
	var by []string
	for _, key := range []string{"state", "source", "type", "destination", "route", "entity", "since", "until"} {
		if v := take(key); v != "" {
			by = append(by, key+" "+v)
		}
	}
	if len(by) > 0 {
		text += " (" + strings.Join(by, ", ") + ")"
	}
	if take("new_id") != "" {
		text += ", under a new id"
	}
	if take("force") != "" {
		text += ", though a newer version may have made it pointless"
	}
	if take("config") == configOriginal {
		text += ", by the configuration that it was planned under"
	}
	if v := take("rate"); v != "" {
		text += ", at " + v
	}
	if from, to := take(detailFrom), take(detailTo); from != "" {
		text += ", due " + spoken(from)
		if to != "" && spoken(to) != spoken(from) {
			text += " to " + spoken(to)
		}
	}
	reason := take("reason")
	for _, key := range slices.Sorted(maps.Keys(d)) {
		text += ", " + key + " " + d[key]
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// spoken is a time in an action's detail as people read it.
func spoken(v string) string {
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return v
	}
	return clock(t)
}

// clock is a time as people read it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
