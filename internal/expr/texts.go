package expr

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/itchyny/gojq"
)

// texts are jq's functions whose cost its own steps do not show, and ours.
var texts = map[string]struct {
	args int
	call func(f *fuel, in any, args []any) any
}{
	"__test":      {2, regexTest},
	"__match":     {2, regexMatch},
	"__capture":   {2, regexCapture},
	"__scan":      {2, regexScan},
	"__split":     {2, regexSplit},
	"__cut":       {3, regexCut},
	"__contains":  {1, contains},
	"__indices":   {1, indices},
	"__position":  {2, position},
	"__join":      {1, join},
	"__fromjson":  {0, fromJSON},
	"__digest":    {1, digest},
	"__base64url": {0, base64URL},
}

// digest is the hash of a text in hex digits.
func digest(f *fuel, in any, args []any) any {
	s, ok := in.(string)
	if !ok {
		return fmt.Errorf("%s of %s, not of a text", args[0], withArticle(gojq.TypeOf(in)))
	}
	if !f.spend(int64(4 * len(s))) {
		return nil
	}
	var sum []byte
	switch args[0] {
	case "md5":
		h := md5.Sum([]byte(s))
		sum = h[:]
	case "sha1":
		h := sha1.Sum([]byte(s))
		sum = h[:]
	case "sha256":
		h := sha256.Sum256([]byte(s))
		sum = h[:]
	case "sha512":
		h := sha512.Sum512([]byte(s))
		sum = h[:]
	}
	return hex.EncodeToString(sum)
}

// base64URL is RFC 4648, section 5, without padding.
func base64URL(f *fuel, in any, _ []any) any {
	s, ok := in.(string)
	if !ok {
		return fmt.Errorf("base64url of %s, not of a text", withArticle(gojq.TypeOf(in)))
	}
	if !f.spend(int64(2 * len(s))) {
		return nil
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

func fromJSON(f *fuel, in any, _ []any) any {
	s, ok := in.(string)
	if !ok {
		return fmt.Errorf("fromjson of %s, not of a text", withArticle(gojq.TypeOf(in)))
	}
	if !f.spend(int64(16 * len(s))) {
		return nil
	}
	v, err := decode([]byte(s))
	if err != nil {
		return fmt.Errorf("fromjson: %w", err)
	}
	return v
}

func join(f *fuel, in any, args []any) any {
	list, ok := in.([]any)
	sep, ok2 := args[0].(string)
	if args[0] == nil {
		ok2 = true
	}
	if !ok || !ok2 {
		return fmt.Errorf("join of %s by %s, not of an array by a text", withArticle(gojq.TypeOf(in)), withArticle(gojq.TypeOf(args[0])))
	}
	parts := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case nil:
		case string:
			parts[i] = v
		case bool, int, float64, json.Number, *big.Int:
			digits, err := gojq.Marshal(v)
			if err != nil {
				return err
			}
			parts[i] = string(digits)
		default:
			return fmt.Errorf("join of an array that holds %s", withArticle(gojq.TypeOf(v)))
		}
		if !f.spend(int64(perNode + len(sep) + len(parts[i]))) {
			return nil
		}
	}
	return strings.Join(parts, sep)
}

// contains is jq's: texts within texts, arrays and objects whose every item
// contains one of the other's.
func contains(f *fuel, in any, args []any) any {
	ok, err := holds(f, in, args[0])
	if err != nil {
		return err
	}
	return ok
}

func holds(f *fuel, l, r any) (bool, error) {
	if !f.spend(perNode) {
		return false, f.err
	}
	switch l := l.(type) {
	case string:
		if r, ok := r.(string); ok {
			f.spend(int64(len(l)))
			return strings.Contains(l, r), nil
		}
	case []any:
		if r, ok := r.([]any); ok {
			return arrayHolds(f, l, r)
		}
	case map[string]any:
		if r, ok := r.(map[string]any); ok {
			for k, v := range r {
				w, ok := l[k]
				if !ok {
					return false, nil
				}
				// What cannot be compared is not contained.
				if ok, err := holds(f, w, v); !ok {
					return false, passed(f, err)
				}
			}
			return true, nil
		}
	}
	if gojq.TypeOf(l) != gojq.TypeOf(r) {
		return false, fmt.Errorf("%s cannot contain %s", withArticle(gojq.TypeOf(l)), withArticle(gojq.TypeOf(r)))
	}
	return gojq.Compare(l, r) == 0, nil
}

func arrayHolds(f *fuel, l, r []any) (bool, error) {
	for _, v := range r {
		found := false
		for _, w := range l {
			ok, err := holds(f, w, v)
			if err := passed(f, err); err != nil {
				return false, err
			}
			if found = ok && err == nil; found {
				break
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

// passed drops the error of a comparison, but not that of an empty tank.
func passed(f *fuel, _ error) error { return f.err }

// indices lists where in a text (in characters) or an array something stands.
func indices(f *fuel, in any, args []any) any {
	x := args[0]
	switch v := in.(type) {
	case nil:
		return nil
	case string:
		x, ok := x.(string)
		if !ok {
			break
		}
		return textIndices(f, v, x)
	case []any:
		want, ok := x.([]any)
		if !ok {
			want = []any{x}
		}
		f.walk(want, 16, int64(1+len(v)))
		f.walk(v, 16, int64(1+len(want)))
		found := []any{}
		for i := 0; len(want) > 0 && i+len(want) <= len(v) && f.err == nil; i++ {
			if gojq.Compare(v[i:i+len(want)], want) == 0 {
				found = append(found, i)
			}
		}
		return found
	}
	return fmt.Errorf("index of %s in %s", withArticle(gojq.TypeOf(x)), withArticle(gojq.TypeOf(in)))
}

func textIndices(f *fuel, s, x string) any {
	found := []any{}
	for at, chars := 0, 0; x != "" && f.spend(perNode); {
		i := strings.Index(s[at:], x)
		f.spend(int64(max(i, 0)))
		if i < 0 {
			f.spend(int64(len(s) - at))
			break
		}
		chars += utf8.RuneCountInString(s[at : at+i])
		found = append(found, chars)
		_, size := utf8.DecodeRuneInString(s[at+i:])
		at, chars = at+i+size, chars+1
	}
	return found
}

// position is the first (0) or the last (-1) of the indices.
func position(f *fuel, in any, args []any) any {
	all := indices(f, in, args)
	list, ok := all.([]any)
	if !ok {
		return all
	}
	if len(list) == 0 {
		return nil
	}
	if n, _ := gojq.ToInt(args[1]); n < 0 {
		return list[len(list)-1]
	}
	return list[0]
}
