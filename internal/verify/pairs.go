package verify

import "strings"

// maxPairs bounds the work on a header that a stranger wrote. Providers send
// two or three; a secret being changed adds one for each old secret.
const maxPairs = 32

// Pair is a key and its value within a header.
type Pair struct{ Key, Value string }

// Pairs reads a header that holds several values, such as "t=1,v1=ab": pairs
// between separators, each cut at the first assign. Spaces around a pair, its
// key and its value are dropped. With an empty assign, the list is one of plain
// values, and keys are empty.
//
// The error is [HeaderMalformed], if a pair has no assign or there are more
// than 32; header names it.
func Pairs(header, value, separator, assign string) ([]Pair, error) {
	if separator == "" {
		return nil, Errorf(HeaderMalformed, "the list in the header %s has no separator", header)
	}
	if strings.Count(value, separator) >= maxPairs {
		return nil, Errorf(HeaderMalformed, "the header %s holds more than %d values", header, maxPairs)
	}
	pairs := make([]Pair, 0, 4)
	for part := range strings.SplitSeq(value, separator) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if assign == "" {
			pairs = append(pairs, Pair{Value: part})
			continue
		}
		k, v, ok := strings.Cut(part, assign)
		if !ok {
			return nil, Errorf(HeaderMalformed, "the header %s holds a part without %q", header, assign)
		}
		pairs = append(pairs, Pair{strings.TrimSpace(k), strings.TrimSpace(v)})
	}
	return pairs, nil
}

// One returns the value of a key that may occur once. A key that occurs twice is
// an error for the reason that a repeated header is one.
func One(header string, pairs []Pair, key string) (string, error) {
	value, found := "", false
	for _, p := range pairs {
		if p.Key != key {
			continue
		}
		if found {
			return "", Errorf(HeaderMalformed, "the header %s holds %q twice", header, key)
		}
		value, found = p.Value, true
	}
	if value == "" {
		return "", Errorf(HeaderMalformed, "the header %s holds no %q", header, key)
	}
	return value, nil
}

// All decodes the values of a key that may occur several times, and leaves out
// those that are not size bytes in the encoding: with a secret being changed,
// one sound signature is enough. The error is [HeaderMalformed], if none is.
func All(header string, pairs []Pair, key, prefix string, e Encoding, size int) ([][]byte, error) {
	var sigs [][]byte
	var bad error
	for _, p := range pairs {
		if p.Key != key {
			continue
		}
		sig, err := Signature(header, p.Value, prefix, e, size)
		if err != nil {
			bad = err
			continue
		}
		sigs = append(sigs, sig)
	}
	switch {
	case len(sigs) > 0:
		return sigs, nil
	case bad != nil:
		return nil, bad
	}
	return nil, Errorf(HeaderMalformed, "the header %s holds no %q signature", header, key)
}
