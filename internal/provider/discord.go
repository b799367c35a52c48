package provider

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"strconv"

	"github.com/seawall-dev/seawall/internal/verify"
)

// Discord: https://docs.discord.com/developers/interactions/receiving-and-responding
// and …/events/webhook-events. Two kinds of request share the scheme:
// interactions, which must be answered with an interaction response, and
// webhook events, which must be answered 204. A bad signature must get 401.
// Discord's own library does not bound the signed time.

var discord = entry{
	Info: Info{
		Name: "discord", Title: "Discord",
		Doc:   "X-Signature-Ed25519 over time and body; answers PING",
		ID:    "id of the interaction; webhook events: content hash",
		Needs: "public_key (the application's, in hex)",
		Keys:  []string{"public_key", "tolerance"},
	},
	objects: true,
	open:    openDiscord,
	sample: func(n string) sample {
		return sample{body: `{"version":1,"application_id":"1234560123453231555","type":1,"event":{"type":"APPLICATION_AUTHORIZED","timestamp":"` +
			sampleTime + `","data":{"user":{"id":"9` + numeric(n) + `"},"integration_type":1,"scopes":["applications.commands"]}}}`}
	},
	sign: func(s Settings, r *Request) error {
		secret, err := first("secret", s.Secrets)
		if err != nil {
			return wrong("secret", "only Discord holds the key that signs").
				hint("to send samples, use a key pair of your own: whsk_… as the secret, its public half as public_key")
		}
		key, err := verify.StandardPrivateKey(secret)
		if err != nil {
			return wrong("secret", "%v", err)
		}
		ts := strconv.FormatInt(r.Now.Unix(), 10)
		r.Header.Set(discordTime, ts)
		r.Header.Set(discordHeader, verify.Hex.Encode(ed25519.Sign(key, append([]byte(ts), r.Body...))))
		return nil
	},
}

const (
	discordHeader = "X-Signature-Ed25519"
	discordTime   = "X-Signature-Timestamp"
)

// discordFields: an interaction's id, type and guild; an event's type and so on.
// What an event is about differs by type: a user, an entitlement, a message.
var discordFields = pick("type", "id", "event.type", "event.timestamp", "event.data.user.id|event.data.id", "guild_id|channel_id")

func openDiscord(s Settings) (*source, error) {
	keys, err := discordKeys(s.PublicKeys)
	if err != nil {
		return nil, err
	}
	return &source{
		keys:      keys,
		signature: discordHeader,
		check: func(_ context.Context, r *Request, keys []verify.Key) (string, error) {
			value, err := verify.Header(r.Header, discordHeader)
			if err != nil {
				return "", err
			}
			ts, err := verify.Header(r.Header, discordTime)
			if err != nil {
				return "", err
			}
			sig, err := verify.Signature(discordHeader, value, "", verify.Hex, ed25519.SignatureSize)
			if err != nil {
				return "", err
			}
			n, err := verify.Ed25519(keys, r.Now, [][]byte{sig}, append([]byte(ts), r.Body...))
			if err != nil {
				return "", err
			}
			if s.Tolerance > 0 {
				signed, err := signedAt(discordTime, ts, verify.Seconds)
				if err != nil {
					return "", err
				}
				if err := verify.Fresh(signed, r.Now, verify.Both(s.Tolerance)); err != nil {
					return "", err
				}
			}
			return proof("discord ed25519", "public key", n, len(keys)), nil
		},
		shakes:   func(r *Request) bool { return discordPing(r) != nil },
		shake:    func(_ context.Context, r *Request) (*Answer, error) { return discordPing(r), nil },
		items:    discordItems,
		accepted: discordAccepted,
	}, nil
}

func discordKeys(public []string) ([]verify.Key, error) {
	const where = "the application's public key: discord.com/developers, General Information; 64 hex digits"
	if len(public) == 0 {
		return nil, wrong("public_key", "is missing").hint(where)
	}
	var keys []verify.Key
	for _, p := range public {
		b, err := verify.Hex.Decode(p)
		if err == nil && len(b) != ed25519.PublicKeySize {
			err = errors.New("another length")
		}
		if err != nil {
			return nil, wrong("public_key", "has the wrong form: it is not 64 hex digits").hint(where)
		}
		keys = append(keys, verify.Key{Bytes: b})
	}
	return keys, nil
}

// discordPing answers the PING of interactions (type 1 without an event) and
// that of webhook events (type 0); it is nil for anything else.
func discordPing(r *Request) *Answer {
	if len(r.Body) > 4096 { // a PING is small; spare the others the reading
		return nil
	}
	v, err := discordFields.from(r.Body, 0)
	switch {
	case err != nil:
		return nil
	case v[0] == "0":
		return &Answer{Status: http.StatusNoContent}
	case v[0] == "1" && v[2] == "" && !bytes.Contains(r.Body, []byte(`"event"`)):
		return jsonAnswer(`{"type":1}`)
	}
	return nil
}

func discordItems(r *Request) ([]Item, string) {
	v, err := discordFields.from(r.Body, 0)
	if err != nil && v[0] == "" {
		return unread(r, err)
	}
	if v[2] != "" { // a webhook event has no id of its own, but a time in microseconds
		return []Item{{
			ID: contentID(r.Body), Derived: true, Type: v[2], Entity: v[4],
			OccurredAt: moment(v[3]), OccurredRaw: v[3],
		}}, unreadable(err)
	}
	it, problem := identified(Item{Type: v[0], Entity: v[5]}, v[1], "payload: it has no id", r.Body)
	return []Item{it}, join(problem, unreadable(err))
}

// discordAccepted acknowledges. An interaction is acknowledged by deferring the
// response to it, which the consumer then sends through Discord's API.
func discordAccepted(r *Request) *Answer {
	v, _ := discordFields.from(r.Body, 0b000101)
	if v[2] != "" {
		return &Answer{Status: http.StatusNoContent}
	}
	switch v[0] {
	case "3": // message component: deferred update
		return jsonAnswer(`{"type":6}`)
	case "4": // autocomplete: it cannot be deferred
		return jsonAnswer(`{"type":8,"data":{"choices":[]}}`)
	}
	return jsonAnswer(`{"type":5}`) // deferred message
}
