package provider

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seawall-dev/seawall/internal/expr"
)

// maxEach is how many events a request of a generic source may hold: they are
// committed together.
const maxEach = 1000

// listPath is where in the body the list of events is; ok is false where the
// expression is more than a path. Only of what lies there as it came can the raw
// bytes be kept.
func listPath(each *expr.Code) (path []string, ok bool) {
	if strings.TrimSpace(each.Source()) == "." {
		return nil, true
	}
	path = each.Path()
	return path, path != nil
}

func (s *Settings) checkEach() error {
	if s.Each == nil {
		return nil
	}
	if _, ok := listPath(s.Each); !ok {
		return wrong("each", "is not the plain path of a list").
			hint("for example .events, or . where the body is the list: each event keeps its own bytes")
	}
	return nil
}

// eachOf cuts the events out of a body.
func eachOf(body []byte, path []string) ([][]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	for _, name := range path {
		if err := enter(dec, name); err != nil {
			return nil, err
		}
	}
	if kind := dec.PeekKind(); kind != '[' && kind != jsontext.KindInvalid {
		return nil, errors.New("it is not a JSON array")
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, plain(err)
	}
	var events [][]byte
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return nil, plain(err)
		}
		if len(events) == maxEach {
			return nil, fmt.Errorf("more than %d events", maxEach)
		}
		end := dec.InputOffset()
		events = append(events, body[end-int64(len(v)):end:end])
	}
	return events, nil
}

// enter reads an object up to the value of a name.
func enter(dec *jsontext.Decoder, name string) error {
	switch dec.PeekKind() {
	case '{':
	case jsontext.KindInvalid:
		_, err := dec.ReadToken()
		return plain(err)
	default:
		return errors.New("no object has " + strconv.Quote(name))
	}
	if _, err := dec.ReadToken(); err != nil {
		return plain(err)
	}
	for dec.PeekKind() != '}' {
		key, err := dec.ReadValue()
		if err != nil {
			return plain(err)
		}
		if text(key) == name {
			return nil
		}
		if err := dec.SkipValue(); err != nil {
			return plain(err)
		}
	}
	return errors.New("there is no " + strconv.Quote(name))
}
