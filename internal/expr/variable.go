package expr

import (
	"net/http"
	"strings"
	"time"
)

// Variables beside $event: there only in the scopes that name them.
const (
	EntityVar   = "$entity"   // the entity of the event: name, key and version
	LinkVar     = "$link"     // by system, the id of the entity's record there; null where none is known
	CallVar     = "$call"     // the call that a check is about
	ResponseVar = "$response" // the answer whose body is the payload
)

// uses are the variables that an expression uses.
type uses uint8

const (
	usesEvent uses = 1 << iota
	usesBody       // $event.body, or $event as a whole
	usesCall
	usesResponse
	usesEntity
	usesLink
)

var variables = map[string]uses{"$event": usesEvent, EntityVar: usesEntity, LinkVar: usesLink, CallVar: usesCall, ResponseVar: usesResponse}

func thereAre(scope []string) string {
	return "there are " + strings.Join(append([]string{"$event"}, scope...), ", ") + ", and what the expression names itself with “as $name”"
}

// Event is what $event holds, beside its body. Empty texts and zero times are
// null in it.
type Event struct {
	ID         string
	Source     string
	SourceID   string
	Type       string
	Entity     string
	Version    string
	OccurredAt time.Time
	ReceivedAt time.Time
	Headers    http.Header // by name in lower case, the first value of each
}

// Call is what $call holds, beside its body, which is that of the input.
type Call struct {
	ID      string
	Key     string // its idempotency key
	Method  string
	Path    string // without the query
	Headers http.Header
}

// scope is what variables stand for; each is made when first used.
type scope struct {
	call     *Call
	response map[string]any
	links    map[string]any
	made     map[uses]map[string]any
}

// Calling returns an input of the same payload, which is the body of a call.
func (in *Input) Calling(c Call) *Input {
	out := in.derived()
	out.payload, out.err, out.parsed = in.payload, in.err, in.parsed
	out.body, out.contentType = in.body, in.contentType
	out.scope.call, out.scope.made = &c, nil
	return out
}

// Answered returns an input whose payload is the body of an answer, and whose
// event and call are the same.
func (in *Input) Answered(status int, header http.Header, body []byte) *Input {
	out := in.derived()
	out.body, out.contentType = body, header.Get("Content-Type")
	out.scope.response = map[string]any{"status": status, "headers": firsts(header)}
	return out
}

// Linked says which records of systems the event's entity is, by system: what
// $link holds. It is known when something is sent, not when it is planned.
func (in *Input) Linked(records map[string]string) {
	in.scope.links = make(map[string]any, len(records))
	for system, record := range records {
		in.scope.links[system] = known(record)
	}
}

// derived is an input of the same event, without a payload.
func (in *Input) derived() *Input {
	return &Input{event: in.event, origin: in.source(), scope: in.scope}
}

func (in *Input) source() *Input {
	if in.origin != nil {
		return in.origin
	}
	return in
}

// Identify says what entity and version the event has, of which that was not
// known when the input was made.
func (in *Input) Identify(entity, version string) {
	in.event.Entity, in.event.Version = entity, version
	in.scope.made = nil
}

// variables are the values of $event, $call, $response, $entity and $link: null
// where they are not used or not known.
func (in *Input) variables(u uses) ([]any, error) {
	out := make([]any, 5, 6)
	if u == 0 {
		return out, nil
	}
	if u&usesEvent != 0 {
		v, err := in.eventVar(u&usesBody != 0)
		if err != nil {
			return nil, err
		}
		out[0] = v
	}
	if c := in.scope.call; u&usesCall != 0 && c != nil {
		v, err := in.callVar(c)
		if err != nil {
			return nil, err
		}
		out[1] = v
	}
	if in.scope.response != nil {
		out[2] = in.scope.response
	}
	if u&usesEntity != 0 {
		out[3] = entityVar(in.event)
	}
	if in.scope.links != nil {
		out[4] = in.scope.links
	}
	return out, nil
}

func (in *Input) eventVar(whole bool) (map[string]any, error) {
	kind := usesEvent
	if whole {
		kind = usesBody
	}
	return in.make(kind, func() (map[string]any, error) {
		e := in.event
		v := map[string]any{
			"id": known(e.ID), "source": known(e.Source), "source_id": known(e.SourceID),
			"type": known(e.Type), "entity": known(e.Entity), "version": known(e.Version),
			"occurred_at": moment(e.OccurredAt), "received_at": moment(e.ReceivedAt),
			"headers": firsts(e.Headers),
		}
		var err error
		if whole {
			v["body"], err = in.source().Payload()
		}
		return v, err
	})
}

// entityVar is an event's entity: order/1001 is the key 1001 of the entity order.
// What no entity of the configuration claims has a key alone: the provider's.
func entityVar(e Event) any {
	if e.Entity == "" {
		return nil
	}
	name, key, named := strings.Cut(e.Entity, "/")
	if !named {
		name, key = "", e.Entity
	}
	return map[string]any{"name": known(name), "key": key, "version": known(e.Version)}
}

func (in *Input) callVar(c *Call) (map[string]any, error) {
	return in.make(usesCall, func() (map[string]any, error) {
		body, err := in.source().Payload()
		return map[string]any{
			"id": known(c.ID), "key": known(c.Key), "method": c.Method, "path": c.Path,
			"headers": firsts(c.Headers), "body": body,
		}, err
	})
}

func (in *Input) make(kind uses, f func() (map[string]any, error)) (map[string]any, error) {
	if v := in.scope.made[kind]; v != nil {
		return v, nil
	}
	v, err := f()
	if err != nil {
		return nil, err
	}
	if in.scope.made == nil {
		in.scope.made = map[uses]map[string]any{}
	}
	in.scope.made[kind] = v
	return v, nil
}

// firsts are headers as expressions see them.
func firsts(h http.Header) map[string]any {
	out := make(map[string]any, len(h))
	for name, values := range h {
		if len(values) > 0 {
			out[strings.ToLower(name)] = values[0]
		}
	}
	return out
}

func known(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
