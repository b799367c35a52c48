package plan

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/internal/order"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// claim is what an entity wants of a source's events.
type claim struct {
	entity  string
	types   []glob
	key     *expr.Code   // nil: the provider's
	version []*expr.Code // none: the provider's, or the time
	record  *expr.Code   // nil: it says none
	system  string       // whose record that is
	compare []order.Comparison
	shared  bool // its versions compare with those of other sources
	ranks   bool // a route orders by them, or it is said how they compare

	unresolved config.Unresolved
}

func claims(c *config.Config) map[string][]claim {
	out := map[string][]claim{}
	for _, e := range c.Entities {
		for _, cl := range e.Claims {
			out[cl.Source] = append(out[cl.Source], claim{
				entity: e.Name, types: globs(cl.Types), key: cl.Key, version: cl.Version,
				record: cl.Record, system: cmp.Or(cl.System, cl.Source), unresolved: e.Unresolved,
				compare: cl.Compare, shared: e.Shared, ranks: len(cl.Compare) > 0 || slices.ContainsFunc(c.Routes, func(r *config.Route) bool {
					return r.From == cl.Source && r.Entity == e.Name && r.Order != seawall.Unordered
				}),
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
	in    *expr.Input
	now   time.Time
	known Known

	rank   []byte // of its version: see ranked
	links  []seawall.Link
	record *store.Record // whose entity is not known; nil: it is, or there is none
	then   seawall.WaitPolicy
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

// told collects decisions that are no route's.
type told struct {
	entity string
	all    []seawall.Decision
}

func (t *told) say(failed bool, format string, args ...any) {
	t.all = append(t.all, seawall.Decision{Why: "entity " + t.entity + ": " + fmt.Sprintf(format, args...), Error: failed})
}

func (s *subject) claimed(c *claim) []seawall.Decision {
	t := told{entity: c.entity}
	prefix := c.entity + "/"
	key, known, err := s.key(c, prefix)
	record, recorded, wrong := s.recordOf(c)
	if wrong != nil {
		t.say(true, "record: %s", clip(wrong.Error()))
	}
	switch {
	case err != nil:
		t.say(true, "key: %s", clip(err.Error()))
		s.Entity, s.Version = "", ""
		return t.all
	case known:
		s.Entity = s.called(prefix+key, &t)
		if recorded {
			s.links = []seawall.Link{{Entity: s.Entity, System: c.system, Record: record, At: s.now, By: s.ID.String()}}
		}
	case !recorded:
		t.say(false, "no key")
		s.Entity, s.Version = "", ""
		return t.all
	default:
		s.resolve(c, record, &t)
	}
	s.versioned(c, &t)
	return t.all
}

// recordOf is the id that the event's object has in its own system.
func (s *subject) recordOf(c *claim) (record string, known bool, err error) {
	if c.record == nil {
		return "", false, nil
	}
	v, err := c.record.Run(context.Background(), s.input())
	if err != nil {
		return "", false, err
	}
	record, known, err = plain(v)
	return record, known && err == nil, err
}

// called is what an entity is called now: another one, if it was merged into that.
func (s *subject) called(entity string, t *told) string {
	if s.known.Alias == nil {
		return entity
	}
	now := s.known.Alias(entity)
	if now == "" || now == entity {
		return entity
	}
	t.say(false, "%s was merged into %s", clip(entity), clip(now))
	return now
}

// resolve is for an event that says its record and not its key: it has the entity
// whose record that is, or waits for the link.
func (s *subject) resolve(c *claim, record string, t *told) {
	of := fmt.Sprintf("record %s of %s", clip(record), c.system)
	if name, _ := seawall.EntityName(s.known.Entity); name == c.entity {
		s.Entity = s.called(s.known.Entity, t)
		t.say(false, "%s is %s", of, clip(s.Entity))
		return
	}
	s.Entity = ""
	s.record = &store.Record{Entity: c.entity, System: c.system, Record: record, Until: s.now.Add(c.unresolved.Wait)}
	s.then = c.unresolved.Then
	switch {
	case s.known.Over:
		t.say(false, "%s belongs to none, and the wait for its link is over: %s", of, ends[s.then])
	case s.then == seawall.WaitHold:
		t.say(false, "%s belongs to none yet: waits for its link, or for a person", of)
	default:
		t.say(false, "%s belongs to none yet: waits for its link until %s", of, s.record.Until.UTC().Format(time.RFC3339))
	}
}

// ends say what follows when a link did not come.
var ends = map[seawall.WaitPolicy]string{
	seawall.WaitDead:    "it is a dead letter where a route wants the entity",
	seawall.WaitDeliver: "it goes on without an entity",
	seawall.WaitHold:    "it is held for a person",
}

// versioned gives the event its version, and that its rank.
func (s *subject) versioned(c *claim, t *told) {
	parts, err := s.versionOf(c)
	s.Version = ""
	switch {
	case err != nil:
		t.say(true, "version: %s", clip(err.Error()))
	case len(parts) == 0 && len(c.version) > 0:
		t.say(false, "no version")
	case len(parts) == 1:
		s.Version = parts[0]
	case len(parts) > 1:
		// As JSON, so that what stands in one is not taken for the border of two.
		b, _ := json.Marshal(parts)
		s.Version = string(b)
	}
	s.rankBy(c, parts, t)
}

// key is which one of its kind the object is. The provider's may have been
// prefixed already, when the event is planned again.
func (s *subject) key(c *claim, prefix string) (key string, known bool, err error) {
	if c.key == nil {
		if c.record != nil {
			return "", false, nil // the provider's would be the record's
		}
		return plain(strings.TrimPrefix(s.Entity, prefix))
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

// versionOf are the parts of a version: what is said of them, or else the provider's,
// or when it occurred. There are none where one is missing.
func (s *subject) versionOf(c *claim) (parts []string, err error) {
	switch {
	case len(c.version) > 0:
	case s.Version != "":
		part, _, err := plain(s.Version)
		if err != nil {
			return nil, err
		}
		return []string{part}, nil
	case !s.OccurredAt.IsZero():
		return []string{s.OccurredAt.UTC().Format(time.RFC3339Nano)}, nil
	}
	for _, code := range c.version {
		v, err := code.Run(context.Background(), s.input())
		if err != nil {
			return nil, err
		}
		part, known, err := plain(v)
		if err != nil || !known {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
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
