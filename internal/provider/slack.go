package provider

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack.
// Events are JSON; slash commands are forms, and interactions a form with JSON
// in its field payload.

var slack = entry{
	Info: Info{
		Name: "slack", Title: "Slack",
		Doc:   "X-Slack-Signature: v0=…; HMAC-SHA256 over time and body, 5 minutes; answers url_verification",
		ID:    "event_id; commands and interactions: trigger_id",
		Needs: "secret (the app's signing secret)",
		Keys:  []string{"secret", "tolerance"},
	},
	objects: true,
	open:    openSlack,
	sample: func(n string) sample {
		return sample{body: `{"team_id":"T123","api_app_id":"A1","event":{"type":"app_mention","user":"U1","text":"hi","channel":"C1","event_ts":"` +
			sampleUnix + `.000200"},"type":"event_callback","event_id":"Ev` + n + `","event_time":` + sampleUnix + `}`}
	},
	sign: func(s Settings, r *Request) error {
		secret, err := first("secret", s.Secrets)
		if err != nil {
			return err
		}
		ts := strconv.FormatInt(r.Now.Unix(), 10)
		mac := verify.SHA256.Sum([]byte(secret), slackVersion, []byte(ts), colon, r.Body)
		r.Header.Set(slackTime, ts)
		r.Header.Set(slackHeader, "v0="+verify.Hex.Encode(mac))
		return nil
	},
}

const (
	slackHeader = "X-Slack-Signature"
	slackTime   = "X-Slack-Request-Timestamp"
)

var (
	slackVersion = []byte("v0:")
	colon        = []byte{':'}

	slackEvent       = pick("event_id", "event.type", "event.channel|event.channel.id|event.item.channel", "event.user|event.user.id", "event_time", "type")
	slackInteraction = pick("trigger_id", "type", "channel.id", "user.id", "team.id")
	slackChallenge   = pick("type", "challenge")
)

func openSlack(s Settings) (*source, error) {
	keys, err := textKeys("secret", s.Secrets, "the app's signing secret: api.slack.com, Basic Information, App Credentials")
	if err != nil {
		return nil, err
	}
	window := verify.Both(tolerance(s, 5*time.Minute))
	return &source{
		keys:      keys,
		signature: slackHeader,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, slackHeader)
			if err != nil {
				return "", err
			}
			ts, err := verify.Header(r.Header, slackTime)
			if err != nil {
				return "", err
			}
			signed, err := signedAt(slackTime, ts, verify.Seconds)
			if err != nil {
				return "", err
			}
			sig, err := verify.Signature(slackHeader, value, "v0=", verify.Hex, verify.SHA256.Size)
			if err != nil {
				return "", err
			}
			n, err := verify.HMAC(verify.SHA256, keys, r.Now, [][]byte{sig}, slackVersion, []byte(ts), colon, r.Body)
			if err != nil {
				return "", err
			}
			return proof("slack v0", "secret", n, len(keys)), verify.Fresh(signed, r.Now, window)
		},
		shakes: func(r *Request) bool {
			if !bytes.Contains(r.Body, []byte("url_verification")) {
				return false
			}
			v, _ := slackChallenge.from(r.Body, 0)
			return v[0] == "url_verification"
		},
		shake: func(_ context.Context, r *Request) (*Answer, error) {
			v, _ := slackChallenge.from(r.Body, 0)
			return plainText(http.StatusOK, v[1]), nil
		},
		items: slackItems,
	}, nil
}

func slackItems(r *Request) ([]Item, string) {
	if isForm(r) {
		return slackForm(r)
	}
	v, err := slackEvent.from(r.Body, 0b010111) // not the user, if there is a channel
	if err != nil && v[0] == "" {
		return unread(r, err)
	}
	it := Item{Type: firstOf(v[1], v[5]), Entity: firstOf(v[2], v[3]), OccurredAt: moment(v[4]), OccurredRaw: v[4]}
	it, problem := identified(it, v[0], "payload: it has no event_id", r.Body)
	return []Item{it}, join(problem, unreadable(err))
}

// slackForm reads a command or an interaction. Neither has an event id, but the
// trigger_id is made anew for each thing that a person does.
func slackForm(r *Request) ([]Item, string) {
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return unread(r, errForm)
	}
	if payload := form.Get("payload"); payload != "" {
		v, err := slackInteraction.from([]byte(payload), 0)
		it := Item{Type: v[1], Entity: firstOf(v[2], v[3], v[4])}
		it, problem := identified(it, v[0], "payload: it has no trigger_id", r.Body)
		return []Item{it}, join(problem, unreadable(err))
	}
	it := Item{Type: form.Get("command"), Entity: firstOf(form.Get("channel_id"), form.Get("team_id"))}
	it, problem := identified(it, form.Get("trigger_id"), "form: it has no trigger_id", r.Body)
	return []Item{it}, problem
}
