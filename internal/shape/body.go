package shape

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seawall-dev/seawall/internal/expr"
	"github.com/seawall-dev/seawall/seawall"
)

const typeJSON = "application/json"

// content is what a request says.
type content struct {
	bytes    []byte
	original bool // the event's body, byte for byte
}

var (
	errNothing = errors.New("gives null: there is nothing to send")
	errForward = errors.New("a transform cannot apply where the original is forwarded")

	jsonHeader = http.Header{"Content-Type": {typeJSON}}

	identity = func() *expr.Code {
		c, err := expr.Compile(".")
		if err != nil {
			panic(err)
		}
		return c
	}()
)

// content makes method and body. kind is the content type; "" if none is known.
func (w *work) content() (method string, c content, kind string, err error) {
	if w.dest.Forward && w.route.Transform != nil {
		return "", c, "", fmt.Errorf("route %q: %w", w.route.Name, errForward)
	}
	if method, err = w.method(); err != nil {
		return "", c, "", err
	}
	switch {
	case w.dest.Body != nil && !w.dest.Forward:
		c.bytes, err = w.made(w.dest.Body)
		if err != nil {
			err = w.fault("body", err)
		}
		return method, c, typeJSON, err
	case method == http.MethodGet, method == http.MethodHead, method == http.MethodDelete:
		// These have no body unless one is asked for.
		return method, content{}, "", nil
	case w.route.Transform == nil && w.Fetched == Fetched && !w.dest.Forward:
		return method, content{bytes: w.Record}, typeJSON, nil
	case w.route.Transform != nil:
		c.bytes, err = w.transformed()
		return method, c, typeJSON, err
	default:
		c = content{bytes: w.ev.Body, original: true}
		return method, c, w.ev.Headers.Get("Content-Type"), nil
	}
}

// payload is what the destination's expressions see: the event's, or the record that
// was fetched; or what the route's transform makes of it.
func (w *work) payload() (*expr.Input, error) {
	if w.input != nil {
		return w.input, nil
	}
	in := input(w.ev)
	in.Linked(w.Links)
	if w.Fetched == Fetched {
		in = in.Answered(http.StatusOK, jsonHeader, w.Record)
	}
	if t := w.route.Transform; t != nil {
		v, err := t.Run(w.ctx, in)
		if err == nil && v == nil {
			err = errNothing
		}
		if err != nil {
			return nil, fmt.Errorf("route %q: transform: %w", w.route.Name, err)
		}
		in = in.With(v)
	}
	w.input = in
	return in, nil
}

// transformed is the transform's result as JSON.
func (w *work) transformed() ([]byte, error) {
	in, err := w.payload()
	if err != nil {
		return nil, err
	}
	b, err := identity.JSON(w.ctx, in)
	if err != nil {
		return nil, fmt.Errorf("route %q: transform: %w", w.route.Name, err)
	}
	return b, nil
}

// made is a body by the destination's own expression: JSON, or, where the
// destination says that it sends something else, a text as it is.
func (w *work) made(code *expr.Code) ([]byte, error) {
	in, err := w.payload()
	if err != nil {
		return nil, err
	}
	if w.dest.text {
		s, ok, err := code.String(w.ctx, in)
		if err == nil && !ok {
			err = errNothing
		}
		return []byte(s), err
	}
	b, err := code.JSON(w.ctx, in)
	if err == nil && string(b) == "null" {
		err = errNothing
	}
	return b, err
}

// input is the event as expressions see it.
func input(ev *seawall.Event) *expr.Input {
	return expr.NewInput(ev.Body, ev.Headers.Get("Content-Type"), expr.Event{
		ID: ev.ID.String(), Source: ev.Source, SourceID: ev.SourceID, Type: ev.Type,
		Entity: ev.Entity, Version: ev.Version, OccurredAt: ev.OccurredAt, ReceivedAt: ev.ReceivedAt,
		Headers: ev.Headers,
	})
}

// isJSON tells whether a content type is one of JSON's.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == typeJSON || strings.HasSuffix(media, "+json")
}
