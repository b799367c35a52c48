package main

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/seawall-dev/seawall/internal/provider"
)

//go:embed samples/github-push.json
var githubPush []byte

// typeHeaders are where some providers name what happened.
var typeHeaders = map[string]string{"github": "X-GitHub-Event", "shopify": "X-Shopify-Topic"}

// typeFields are where others do, in the payload.
var typeFields = map[string]string{
	"stripe": "type", "standardwebhooks": "type", "svix": "type",
	"hmac": "type", "token": "type", "basic": "type", "none": "type",
}

// idHeaders are where providers put the event's id. Others have it in the
// payload, as the field id or derived from the whole.
var idHeaders = map[string]string{
	"github": "X-GitHub-Delivery", "shopify": "X-Shopify-Event-Id",
	"standardwebhooks": "webhook-id", "svix": "svix-id",
	"hmac": "webhook-id", "token": "webhook-id", "basic": "webhook-id", "none": "webhook-id",
}

// setType makes a sample one of another type.
func setType(r *provider.Request, kind, to string) error {
	if to == "" {
		return nil
	}
	if h := typeHeaders[kind]; h != "" {
		r.Header.Set(h, to)
		return nil
	}
	if f := typeFields[kind]; f != "" {
		return setField(r, f, to)
	}
	return usageHint(usagef("the type of a %s event is in its payload", kind), "give the payload with --data or --file")
}

// setID makes a sample with a body of its own an event of its own. An id that a
// person gave goes into the payload too, where the provider has it there.
func setID(r *provider.Request, kind, id string, given bool) error {
	if h := idHeaders[kind]; h != "" {
		r.Header.Set(h, id)
	}
	if given && kind == "stripe" {
		return setField(r, "id", id)
	}
	return nil
}

// setField sets a field of a JSON object.
func setField(r *provider.Request, name, value string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &object); err != nil {
		return fmt.Errorf("set %s in the body: %w", name, err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	object[name] = b
	r.Body, err = json.Marshal(object)
	return err
}
