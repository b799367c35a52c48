package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/expr"
)

// A vector is a request with key material, the verdict that is right, and what
// is to be taken out of it: one JSON object to a line.

// Report is what came of a file of vectors.
type Report struct {
	Passed, Failed int
	Failures       []Failure
	Unknown        map[string]int // vectors of providers that are not built, by provider
}

// Failure is a vector that came out otherwise than it says.
type Failure struct{ ID, Why, Got string }

type vector struct {
	capture
	papers
	ID              string       `json:"id"`
	Provider        string       `json:"provider"`
	Kind            string       `json:"kind"`
	Secret          string       `json:"secret"`
	Secrets         []string     `json:"secrets"`
	PublicKey       string       `json:"public_key"`
	Username        string       `json:"username"`
	Password        string       `json:"password"`
	Header          string       `json:"header"`
	Algorithm       string       `json:"algorithm"`
	Encoding        string       `json:"encoding"`
	Prefix          string       `json:"prefix"`
	Signed          string       `json:"signed_content"`
	SecretEncoding  string       `json:"secret_encoding"`
	TimestampHeader string       `json:"timestamp_header"`
	TimestampUnit   string       `json:"timestamp_unit"`
	Tolerance       float64      `json:"tolerance_s"`
	Valid           bool         `json:"valid"`
	Why             string       `json:"why"`
	Expect          *expectation `json:"expect"`
}

// expectation holds only what the vector says; null means "there is none".
type expectation struct {
	fields   map[string]json.RawMessage
	Events   []map[string]json.RawMessage `json:"events"`
	Paths    map[string]string            `json:"paths"`
	Confirm  string                       `json:"confirm_url"` // must be fetched
	Response *struct {
		Status  int               `json:"status"`
		Body    *string           `json:"body"`
		JSON    json.RawMessage   `json:"json"`
		Headers map[string]string `json:"headers"`
	} `json:"response"`
}

func (e *expectation) UnmarshalJSON(b []byte) error {
	type plain expectation
	if err := json.Unmarshal(b, (*plain)(e)); err != nil {
		return err
	}
	return json.Unmarshal(b, &e.fields)
}

// RunVectors runs every vector of a provider that is built, and counts the
// others. The error is one of reading or of a line that is no vector.
func RunVectors(r io.Reader) (Report, error) {
	rep := Report{Unknown: map[string]int{}}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 64<<20)
	for n := 1; in.Scan(); n++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		var v vector
		if err := json.Unmarshal(line, &v); err != nil {
			return rep, fmt.Errorf("line %d is not a vector: %w", n, err)
		}
		if _, err := find(v.name()); err != nil {
			rep.Unknown[v.Provider]++
			continue
		}
		if err := v.run(); err != nil {
			rep.Failed++
			rep.Failures = append(rep.Failures, Failure{v.ID, v.Why, err.Error()})
			continue
		}
		rep.Passed++
	}
	return rep, in.Err()
}

// WriteTo prints the failures, the providers that are not known, and last
// "N passed, N failed".
func (rep Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for _, f := range rep.Failures {
		fmt.Fprintf(&b, "FAIL %s (%s): %s\n", f.ID, f.Why, f.Got)
	}
	for _, name := range slices.Sorted(maps.Keys(rep.Unknown)) {
		fmt.Fprintf(&b, "not known: %s, %d vectors\n", name, rep.Unknown[name])
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", rep.Passed, rep.Failed)
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// name is the provider in our catalogue.
func (v *vector) name() string {
	switch v.Provider {
	case "generic_hmac":
		return genericHMAC.Name
	case "generic_api_key", "generic_bearer":
		return genericToken.Name
	case "generic_basic":
		return genericBasic.Name
	}
	return v.Provider
}

// settings is the source that the vector describes.
func (v *vector) settings() (Settings, error) {
	s := Settings{
		Provider: v.name(), Header: v.Header, Username: v.Username, Password: v.Password,
		Algorithm: v.Algorithm, Encoding: v.Encoding, Prefix: v.Prefix, Signed: v.Signed, SecretEnc: v.SecretEncoding,
		Tolerance: time.Duration(v.Tolerance * float64(time.Second)), Fetch: &v.papers,
	}
	secrets := v.Secrets
	if v.Secret != "" {
		secrets = append([]string{v.Secret}, secrets...)
	}
	for _, secret := range secrets {
		if s.Provider == genericToken.Name {
			s.Tokens = append(s.Tokens, Secret{Value: secret})
		} else {
			s.Secrets = append(s.Secrets, Secret{Value: secret})
		}
	}
	if v.PublicKey != "" {
		s.PublicKeys = []string{v.PublicKey}
	}
	if v.TimestampHeader != "" {
		s.Timestamp = TimestampSpec{Header: v.TimestampHeader, Unit: v.TimestampUnit}
	}
	if !v.generic() || v.Expect == nil {
		return s, nil
	}
	for field, code := range map[string]**expr.Code{"event_id": &s.ID, "event_type": &s.Type, "occurred_at": &s.Time} {
		path, ok := strings.CutPrefix(v.Expect.Paths[field], "body")
		if !ok || !jqPath.MatchString(path) {
			continue
		}
		var err error
		if *code, err = expr.Compile(path); err != nil {
			return s, err
		}
	}
	return s, nil
}

var jqPath = regexp.MustCompile(`^(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// generic tells whether the source takes id, type and time from expressions.
// Entity and version are then not the source's to say: entities are.
func (v *vector) generic() bool { return strings.HasPrefix(v.Provider, "generic_") }

func (v *vector) run() error {
	s, err := v.settings()
	if err != nil {
		return err
	}
	src, err := Open(s)
	if err != nil {
		return fmt.Errorf("the source cannot be opened: %w", err)
	}
	r, err := v.request()
	if err != nil {
		return err
	}
	ctx := context.Background()
	answer, shaken, err := src.Handshake(ctx, r)
	if err == nil && !shaken {
		_, err = src.Verify(ctx, r)
	}
	switch {
	case err != nil && v.Valid:
		return fmt.Errorf("rejected: %w", err)
	case err == nil && !v.Valid:
		return errors.New("accepted")
	case !v.Valid || v.Expect == nil:
		return nil
	case shaken != (v.Kind == "handshake"):
		return fmt.Errorf("taken for a handshake: %v", shaken)
	case shaken && v.Expect.Confirm != "" && !slices.Contains(v.asked, v.Expect.Confirm):
		return errors.New("not confirmed by a request to confirm_url")
	case shaken:
		return v.response(answer)
	}
	if v.Expect.Response != nil {
		if err := v.response(src.Accepted(r)); err != nil {
			return err
		}
	}
	items, problem := src.Identify(r)
	return v.items(items, problem)
}

// response compares an answer with the one that the provider demands.
func (v *vector) response(a *Answer) error {
	want := v.Expect.Response
	if want == nil {
		return nil
	}
	if a == nil {
		a = &Answer{Status: 200}
	}
	if want.Status != 0 && a.Status != want.Status {
		return fmt.Errorf("answered %d, not %d", a.Status, want.Status)
	}
	if want.Body != nil && string(a.Body) != *want.Body {
		return fmt.Errorf("answered %q, not %q", a.Body, *want.Body)
	}
	if len(want.JSON) > 0 {
		var got, should any
		if json.Unmarshal(a.Body, &got) != nil || json.Unmarshal(want.JSON, &should) != nil || fmt.Sprint(got) != fmt.Sprint(should) {
			return fmt.Errorf("answered %q, not %s", a.Body, want.JSON)
		}
	}
	for name, value := range want.Headers {
		if a.Header.Get(name) != value {
			return fmt.Errorf("answered with %s %q, not %q", name, a.Header.Get(name), value)
		}
	}
	return nil
}

// items compares what was identified.
func (v *vector) items(items []Item, problem string) error {
	want := v.Expect.Events
	if _, batch := v.Expect.fields["events"]; !batch {
		want = []map[string]json.RawMessage{v.Expect.fields}
	}
	if len(items) != len(want) {
		return fmt.Errorf("%d events, not %d (%s)", len(items), len(want), problem)
	}
	for i := range items {
		if err := v.item(&items[i], want[i]); err != nil {
			return fmt.Errorf("event %d: %w (%s)", i+1, err, problem)
		}
	}
	return nil
}

func (v *vector) item(it *Item, want map[string]json.RawMessage) error {
	id := it.ID
	if it.Derived || it.Keyless {
		id = "" // ours, not the provider's
	}
	got := map[string]string{
		"event_id": id, "event_type": it.Type, "event_action": it.Action, "delivery_id": it.Delivery,
		"occurred_at_raw": it.OccurredRaw, "occurred_at": "",
	}
	if !it.OccurredAt.IsZero() {
		got["occurred_at"] = it.OccurredAt.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	}
	if !v.generic() {
		got["entity"], got["version"] = it.Entity, it.Version
	}
	for _, field := range slices.Sorted(maps.Keys(got)) {
		raw, ok := want[field]
		if !ok {
			continue
		}
		if should := scalar(raw); got[field] != should {
			return fmt.Errorf("%s is %q, not %q", field, got[field], should)
		}
	}
	return nil
}

// scalar is a JSON scalar as text: "" for null, numbers as written.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}
