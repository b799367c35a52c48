package expr

import (
	"bytes"
	"encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
)

const (
	maxValues = 1_000_000 // in a payload
	maxDigits = 1_000     // of a number
)

// decode reads JSON into the values that the interpreter works on. Numbers stay
// as they are written, so that no digit of an id or an amount is lost. Of a key
// that occurs twice the last counts, as in most readers.
func decode(body []byte) (any, error) {
	d := decoder{Decoder: jsontext.NewDecoder(bytes.NewReader(body),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	v, err := d.value()
	if err != nil {
		return nil, unreadable(err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, fmt.Errorf("not JSON: more after the end, at byte %d", d.InputOffset())
	}
	return v, nil
}

func unreadable(err error) error {
	if errors.Is(err, ErrLimit) {
		return err
	}
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: it ends too early")
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON: byte %d: %w", syntax.ByteOffset, syntax.Err)
	}
	return fmt.Errorf("not JSON: %w", err)
}

type decoder struct {
	*jsontext.Decoder
	values int
}

func (d *decoder) value() (any, error) {
	if d.values++; d.values > maxValues {
		return nil, fmt.Errorf("%w: more than %d values", ErrLimit, maxValues)
	}
	t, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return t.Bool(), nil
	case '"':
		return t.String(), nil
	case '0':
		digits := t.String()
		if len(digits) > maxDigits {
			return nil, fmt.Errorf("%w: a number of more than %d digits", ErrLimit, maxDigits)
		}
		return json.Number(digits), nil
	}
	if d.StackDepth() > maxDepth {
		return nil, fmt.Errorf("%w: nested deeper than %d", ErrLimit, maxDepth)
	}
	if t.Kind() == '[' {
		return d.array()
	}
	return d.object()
}

func (d *decoder) array() (any, error) {
	array := []any{}
	for d.PeekKind() != ']' {
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	_, err := d.ReadToken()
	return array, err
}

func (d *decoder) object() (any, error) {
	object := map[string]any{}
	for d.PeekKind() != '}' {
		key, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := key.String()
		if object[name], err = d.value(); err != nil {
			return nil, err
		}
	}
	_, err := d.ReadToken()
	return object, err
}
