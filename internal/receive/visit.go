package receive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/plan"
	"github.com/seawall-dev/seawall/internal/provider"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/internal/verify"
	"github.com/seawall-dev/seawall/seawall"
)

// visit is one request on its way through the room.
type visit struct {
	rc    *Receiver
	cur   *Current
	w     http.ResponseWriter
	r     *http.Request
	start time.Time

	source *config.Source
	req    *provider.Request
	proof  string
	kept   http.Header // of the request's headers, those that events are stored with
}

// receive states the first half of an event's path: bound, verify, identify,
// plan, accept, answer.
func (v *visit) receive() {
	if v.r.ContentLength < 0 {
		// net/http takes a request that has both a length and chunks by its
		// chunks, and does not tell. What follows on the connection may be what
		// a proxy in front took for its body (RFC 9112, section 6.3).
		v.w.Header().Set("Connection", "close")
	}
	if !v.find() || !v.allowed() {
		return
	}
	release, ok := v.read()
	defer release()
	if !ok {
		return
	}
	if vouched := v.proof != ""; !vouched && (v.handshake() || !v.verify()) {
		return
	}
	items, problem := v.identify()
	if len(items) == 0 {
		v.empty()
		return
	}
	v.accept(items, problem)
}

// find looks up the source that the path names.
func (v *visit) find() bool {
	name, ok := strings.CutPrefix(v.r.URL.Path, "/in/")
	if ok {
		name = strings.TrimSuffix(name, "/")
		v.source = v.cur.Source(name)
	}
	if v.source == nil {
		v.refuse(refusal{http.StatusNotFound, "unknown_source", "there is no source at this address",
			"no source is named " + quote(name) + "; webhooks go to /in/SOURCE"})
		return false
	}
	return true
}

// allowed checks what the headers alone can tell.
func (v *visit) allowed() bool {
	t := v.source.Provider.Traits()
	methods := t.Methods
	if methods == nil {
		methods = []string{http.MethodPost}
	}
	if !slices.Contains(methods, v.r.Method) {
		v.w.Header().Set("Allow", strings.Join(methods, ", "))
		v.refuse(refusal{http.StatusMethodNotAllowed, "method_not_allowed",
			"this source does not take " + quote(v.r.Method) + " requests", ""})
		return false
	}
	if enc := v.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		v.w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
		v.refuse(refusal{http.StatusUnsupportedMediaType, "content_encoding",
			"send the body without content encoding", "Content-Encoding: " + quote(enc)})
		return false
	}
	if len(t.ContentType) > 0 && v.r.Method == http.MethodPost {
		media, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
		if err != nil || !slices.Contains(t.ContentType, media) {
			v.refuse(refusal{http.StatusUnsupportedMediaType, "content_type",
				"this source takes " + strings.Join(t.ContentType, " or "), "Content-Type: " + quote(v.r.Header.Get("Content-Type"))})
			return false
		}
	}
	return true
}

// read takes in the body within the bounds of the source and of the process.
// release gives the held bytes back and must be called in any case.
func (v *visit) read() (release func(), ok bool) {
	limit, limits := v.source.MaxBody, v.cur.Config.Limits
	if v.r.ContentLength > limit {
		v.tooLarge(limit)
		return func() {}, false
	}
	v.hurry()
	body, held, err := v.rc.intake(http.MaxBytesReader(v.w, v.r.Body, limit), v.r.ContentLength, limits)
	entered := err == nil && v.rc.enter(limits)
	release = func() {
		v.rc.bytes.Add(-held)
		if entered {
			v.rc.requests.Add(-1)
		}
	}
	if !entered {
		v.unread(err)
		return release, false
	}
	v.req = &provider.Request{
		Method: v.r.Method, URL: publicURL(v.r, v.cur.Config), Header: v.r.Header, Body: body, Now: v.start,
	}
	return release, true
}

// unread answers a request whose body was not taken in; without an error there was
// no room for it.
func (v *visit) unread(err error) {
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.Is(err, errBusy):
		v.busy("too much is being received at once")
	case errors.As(err, &large):
		v.tooLarge(large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		v.refuse(refusal{http.StatusRequestTimeout, "body_too_slow", "the body did not arrive in time", err.Error()})
	default:
		v.refuse(refusal{http.StatusBadRequest, "body_cut_off", "the body did not arrive whole", err.Error()})
	}
}

const (
	bodyGrace = 10 * time.Second // for any body
	bodyRate  = 256 << 10        // bytes/s beyond that

	// answerTime is left for the commit and the answer after the body: without
	// it a long body would use up the server's WriteTimeout, and an event that
	// is stored would not be acknowledged.
	answerTime = acceptTimeout + deadlineStep + 20*time.Second
)

// hurry bounds the time in which a body must arrive: a short one soon, a long one
// at a rate that a slow line still has.
func (v *visit) hurry() {
	size := v.r.ContentLength
	if size < 0 {
		size = v.source.MaxBody
	}
	by := v.rc.Now().Add(bodyGrace + time.Duration(size/bodyRate)*time.Second)
	c := http.NewResponseController(v.w)
	_ = c.SetReadDeadline(by) // a test's recorder has neither
	_ = c.SetWriteDeadline(by.Add(answerTime))
}

const (
	drainBytes = 32 << 20
	drainFor   = 2 * time.Second
)

// tooLarge answers 413. A sender that is in the midst of sending would not read
// the answer but see its connection reset, so a bounded part of what it sends is
// taken in and thrown away first.
func (v *visit) tooLarge(limit int64) {
	if v.r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(v.w).SetReadDeadline(v.rc.Now().Add(drainFor))
		_, _ = io.CopyN(io.Discard, v.r.Body, drainBytes)
	}
	v.w.Header().Set("Connection", "close")
	v.refuse(refusal{http.StatusRequestEntityTooLarge, "body_too_large",
		"the body is larger than this source takes", "the bound is " + size(limit) + "; raise it with the source's body: key"})
}

// handshake answers a challenge; it tells whether the request was one.
func (v *visit) handshake() bool {
	a, ok, err := v.source.Provider.Handshake(v.r.Context(), v.req)
	switch {
	case err != nil:
		v.unverified(err)
		return true
	case ok:
		v.answer(a)
		v.note(seawall.Handshake, "challenge", "", a.Status)
	}
	return ok
}

func (v *visit) verify() bool {
	proof, err := v.source.Provider.Verify(v.r.Context(), v.req)
	if err != nil {
		v.unverified(err)
		return false
	}
	v.proof = proof
	return true
}

// unverified answers a request that failed verification, saying no more than
// its sender can see for himself.
func (v *visit) unverified(err error) {
	var e *verify.Error
	if !errors.As(err, &e) {
		e = verify.Errorf(verify.Unavailable, "%v", err)
	}
	if e.Reason == verify.Unavailable {
		v.w.Header().Set("Retry-After", "10")
		v.refuse(refusal{http.StatusServiceUnavailable, string(e.Reason), "the signature cannot be checked at this moment", e.Detail})
		return
	}
	f := refusal{v.source.Provider.Traits().RejectWith, string(e.Reason), told(e.Reason), e.Detail}
	if f.status == 0 {
		f.status = http.StatusUnauthorized
	}
	switch v.source.Kind {
	case "basic":
		v.w.Header().Set("WWW-Authenticate", `Basic realm="webhooks"`)
	case "token":
		v.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	v.refuse(f)
}

// told is what the sender of an unverified request is told.
func told(r verify.Reason) string {
	switch r {
	case verify.HeaderMissing:
		return "the request is not signed the way this source expects"
	case verify.HeaderMalformed, verify.HeaderRepeated:
		return "the signature header cannot be read"
	case verify.TimestampOld, verify.TimestampFuture:
		return "the signed time is too far from ours"
	case verify.BodyUnreadable:
		return "the body cannot be read the way this source signs it"
	default:
		return "the signature or credential does not match"
	}
}

// identify finds the events in the request. A payload that makes the provider's
// code fail is kept whole, as one event, rather than lost.
func (v *visit) identify() (items []provider.Item, problem string) {
	defer func() {
		if p := recover(); p != nil {
			v.rc.Log.Error("identify panicked", "source", v.source.Name, "panic", p)
			sum := sha256.Sum256(v.req.Body)
			items = []provider.Item{{ID: "sha256:" + hex.EncodeToString(sum[:16]), Derived: true}}
			problem = "the payload made the provider's reader fail"
		}
	}()
	return v.source.Provider.Identify(v.req)
}

// empty answers a verified request without events: a heartbeat, a test button.
func (v *visit) empty() {
	a := v.accepted()
	if a == nil {
		a = &provider.Answer{Status: http.StatusOK, Body: []byte("{\"events\":[]}\n")}
	}
	v.answer(a)
	v.note(seawall.Handshake, "no_events", "", a.Status)
}

// accept makes the events durable, then acknowledges them.
func (v *visit) accept(items []provider.Item, problem string) {
	v.kept = v.safeHeaders()
	copies, limits := int64(len(items)-1)*weight(v.kept), v.cur.Config.Limits
	if most := limits.Memory / bodyShare; copies > most {
		v.refuse(refusal{http.StatusRequestHeaderFieldsTooLarge, "headers_too_large",
			"the headers are too long for so many events: send fewer at once, or shorter headers",
			fmt.Sprintf("headers are stored with each of the %d events, %s in all; a quarter of limits.memory, %s, is the bound", len(items), size(copies), size(most))})
		return
	}
	if !v.rc.hold(copies, limits) {
		v.busy("too much is being received at once")
		return
	}
	defer v.rc.bytes.Add(-copies)
	batch := make([]store.Acceptance, len(items))
	for i := range items {
		batch[i] = v.acceptance(&items[i], problem)
	}
	// What has been verified is accepted even if the sender hangs up meanwhile:
	// his next try is then recognised as a duplicate.
	accepted := v.rc.Reserve(batch)
	done, err := v.rc.Store.Accept(v.rc.deadline.context(), batch)
	accepted(done)
	if err != nil {
		v.rc.Log.Warn("accept refused", "source", v.source.Name, "error", err)
		v.busy("the events cannot be stored at this moment")
		return
	}
	if a := v.accepted(); a != nil {
		v.answer(a)
	} else {
		v.acknowledge(done)
	}
	took := v.rc.Now().Sub(v.start)
	for i := range done {
		v.rc.Metrics.Arrival(v.source.Name, done[i].Verdict.String(), took)
	}
}

// acceptance builds an event from an item, and plans it.
func (v *visit) acceptance(it *provider.Item, problem string) store.Acceptance {
	body := it.Body
	switch {
	case body == nil:
		body = v.req.Body
	case len(body) < len(v.req.Body)/4: // or it would keep all of that in memory until it is delivered
		body = slices.Clone(body)
	}
	ev := &seawall.Event{
		ID: seawall.NewEventID(v.start, v.rc.Random), Source: v.source.Name,
		SourceID: it.ID, Derived: it.Derived, Keyless: it.Keyless,
		Type: it.Type, Entity: it.Entity, Version: it.Version, OccurredAt: it.OccurredAt, ReceivedAt: v.start,
		Method: v.r.Method, URL: v.safeURL(), Headers: v.kept, Body: body,
		Remote: remote(v.r, v.cur.Config), Proof: v.proof, Revision: v.cur.Revision,
	}
	planned := v.rc.Known(v.r.Context(), func(k plan.Known) plan.Planned { return v.cur.Plan(ev, v.start, k) })
	ev.Routing, ev.Decisions = planned.Routing, planned.Decisions
	if problem != "" {
		ev.Decisions = append(ev.Decisions, seawall.Decision{Why: "identify: " + problem, Error: true})
	}
	sum := sha256.Sum256(body)
	return store.Acceptance{
		Event: ev, BodyHash: [16]byte(sum[:16]), Expires: v.start.Add(v.source.Dedupe), Deliveries: planned.Deliveries,
		Links: planned.Links, Unresolved: planned.Unresolved,
	}
}

// accepted is the answer that the source's configuration or its provider wants.
func (v *visit) accepted() *provider.Answer {
	if v.source.Answer != nil {
		return v.source.Answer
	}
	return v.source.Provider.Accepted(v.req)
}
