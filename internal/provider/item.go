package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// contentID is the source event id of a body whose provider sends none: the
// same bytes, the same event.
func contentID(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// identified gives an item its id: the provider's if there is one, otherwise
// one derived from the content. What the provider always sends and did not send
// this time is a problem to tell.
func identified(it Item, id, missing string, body []byte) (Item, string) {
	if it.ID = id; id != "" {
		return it, ""
	}
	it.ID, it.Derived = contentID(body), true
	return it, missing
}

// unread is what becomes of a verified body that cannot be read.
func unread(r *Request, err error) ([]Item, string) {
	return []Item{{ID: contentID(r.Body), Derived: true}}, "payload: " + err.Error()
}

// tidy makes what a stranger wrote fit for keys, columns and screens: bounded,
// valid UTF-8, no zero bytes. Ids that this would change are replaced by their
// hash instead, so that different ones stay different.
func (it *Item) tidy() {
	if id := tidied(it.ID); id != it.ID {
		it.ID = contentID([]byte(it.ID))
	}
	for _, field := range []*string{&it.Type, &it.Action, &it.Delivery, &it.Entity, &it.Version, &it.OccurredRaw} {
		*field = tidied(*field)
	}
}

func tidied(s string) string {
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	}
	return clip(s)
}

// clip bounds a text at 512 bytes, between characters.
func clip(s string) string {
	const most = 512
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// join puts problems together.
func join(problems ...string) string {
	var out []string
	for _, p := range problems {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "; ")
}
