package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

// claim is what an entity wants of a source's events.
type claim struct {
	entity  string
	types   []glob
	key     *expr.Code   // nil: the provider's
	version []*expr.Code // none: the provider's, or the time
}

func claims(c *config.Config) map[string][]claim {
	out := map[string][]claim{}
	for _, e := range c.Entities {
		for _, cl := range e.Claims {
			out[cl.Source] = append(out[cl.Source], claim{
				entity: e.Name, types: globs(cl.Types), key: cl.Key, version: cl.Version,
			})
		}
	}
	return out
}

func names(c *config.Config) map[string]bool {
	out := make(map[string]bool, len(c.Entities))
	for _, e := range c.Entities {
		out[e.Name] = true
	}
	return out
}

// subject is an event while it is planned; its payload is parsed when first used.
type subject struct {
	*seawall.Event
	in *expr.Input
}

func (s *subject) input() *expr.Input {
	if s.in == nil {
		s.in = input(s.Event)
	}
	return s.in
}

// identify gives an event that an entity claims its entity, NAME/KEY, and its
// version. One that nobody claims keeps what its provider said, unless that would
// pass for an entity of the configuration: its sender could then put it among an
// order's events by naming its own object so. The decisions tell of what is
// missing: the event is never refused for it.
func (p *Planner) identify(s *subject) []seawall.Decision {
	cs := p.claims[s.Source]
	for i := range cs {
		if c := &cs[i]; matchAny(c.types, s.Type) {
			ds := s.claimed(c)
			if s.in != nil {
				s.in.Identify(s.Entity, s.Version)
			}
			return ds
		}
	}
	name, _, slash := strings.Cut(s.Entity, "/")
	if !slash || !p.names[name] || s.Source == seawall.SourceOutcomes { // whose events are about deliveries, and have theirs
		return nil
	}
	s.Entity, s.Version = "", ""
	return []seawall.Decision{{Why: "entity " + name + ": does not claim this event, whose object is named like one of its own"}}
}

func (s *subject) claimed(c *claim) []seawall.Decision {
	say := func(failed bool, format string, args ...any) []seawall.Decision {
		return []seawall.Decision{{Why: "entity " + c.entity + ": " + fmt.Sprintf(format, args...), Error: failed}}
	}
	prefix := c.entity + "/"
	key, known, err := s.key(c, prefix)
	if err != nil || !known {
		s.Entity, s.Version = "", ""
		if err != nil {
			return say(true, "key: %s", clip(err.Error()))
		}
		return say(false, "no key")
	}
	s.Entity = prefix + key
	if len(c.version) == 0 {
		if s.Version == "" && !s.OccurredAt.IsZero() {
			s.Version = s.OccurredAt.UTC().Format(time.RFC3339Nano)
		}
		return nil
	}
	s.Version, known, err = s.versionOf(c)
	switch {
	case err != nil:
		return say(true, "version: %s", clip(err.Error()))
	case !known:
		return say(false, "no version")
	}
	return nil
}

// key is which one of its kind the object is. The provider's may have been
// prefixed already, when the event is planned again.
func (s *subject) key(c *claim, prefix string) (key string, known bool, err error) {
	if c.key == nil {
		key = strings.TrimPrefix(s.Entity, prefix)
		return key, key != "", nil
	}
	v, err := c.key.Run(context.Background(), s.input())
	if err != nil {
		return "", false, err
	}
	key, known, err = plain(v)
	if err == nil && strings.ContainsAny(key, ".eE") && number(v) {
		err = errors.New("gives a fraction, or a number too large to be exact")
	}
	return key, known && err == nil, err
}

// versionOf runs the parts of a version. Several are written as a JSON array of
// texts, so that what stands in one is not taken for the border of two.
func (s *subject) versionOf(c *claim) (version string, known bool, err error) {
	parts := make([]string, len(c.version))
	for i, code := range c.version {
		v, err := code.Run(context.Background(), s.input())
		if err != nil {
			return "", false, err
		}
		if parts[i], known, err = plain(v); err != nil || !known {
			return "", false, err
		}
	}
	if len(parts) == 1 {
		return parts[0], true, nil
	}
	b, err := json.Marshal(parts)
	return string(b), err == nil, err
}

// maxName bounds a key, and each part of a version, in bytes: they stand in an
// index, in headers and in URLs.
const maxName = 256

// plain is a key or a part of a version as text: a text as it is, a whole number
// in digits however it was written, another number as it was written. known is
// false for null and for the empty text.
func plain(v any) (s string, known bool, err error) {
	switch v := v.(type) {
	case nil:
		return "", false, nil
	case string:
		s = v
	case bool, []any, map[string]any:
		return "", false, fmt.Errorf("gives %s, where a text or a number is wanted", kindOf(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", false, errors.New("gives no number")
		}
		s = strconv.FormatFloat(v, 'g', -1, 64)
		if v == float64(int64(v)) && v < 1<<53 && v > -1<<53 {
			s = strconv.FormatInt(int64(v), 10)
		}
	default: // int, *big.Int, json.Number
		s = digits(fmt.Sprint(v))
	}
	if len(s) > maxName {
		return "", false, fmt.Errorf("longer than %d bytes", maxName)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return "", false, fmt.Errorf("a control character, at byte %d", i+1)
	}
	return s, s != "", nil
}

// digits writes a whole number without point or exponent: 1e3 is 1000.
func digits(s string) string {
	if !strings.ContainsAny(s, ".eE") || len(s) > maxName {
		return s
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(s), "e"); ok {
		if n, err := strconv.Atoi(exponent); err != nil || n > maxName || n < -maxName {
			return s
		}
	}
	if r, ok := new(big.Rat).SetString(s); ok && r.IsInt() {
		return r.Num().String()
	}
	return s
}

func number(v any) bool {
	_, text := v.(string)
	return !text
}

func kindOf(v any) string {
	switch v.(type) {
	case bool:
		return "a boolean"
	case []any:
		return "an array"
	default:
		return "an object"
	}
}
