package expr

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/itchyny/gojq"
)

const (
	maxIndex = 10_000 // of an array that an expression makes longer
	maxBits  = 4_096  // of a whole number
)

// options give the interpreter our variables and functions. Those that begin
// with __ are called by rewritten trees only.
var options = func() []gojq.CompilerOption {
	opts := []gojq.CompilerOption{gojq.WithVariables([]string{"$event", CallVar, ResponseVar, EntityVar, LinkVar, "$__fuel"})}
	add := func(name string, args int, f func(fuel *fuel, in any, args []any) any) {
		opts = append(opts, gojq.WithFunction(name, args+1, args+1, func(in any, all []any) any {
			fuel := all[args].(*fuel)
			v := f(fuel, in, all[:args])
			if fuel.err != nil {
				return fuel.err
			}
			if err, ok := v.(error); ok {
				return fault{err}
			}
			return v
		}))
	}
	for name, m := range meters {
		add(name, 0, func(f *fuel, in any, _ []any) any {
			if err := m(f, in); err != nil {
				return err
			}
			return in
		})
	}
	add("__pieces", 1, func(f *fuel, in any, args []any) any {
		n, _ := gojq.ToInt(args[0])
		f.walk(in, 64, int64(n))
		return in
	})
	add("__product", 2, product)
	for name, f := range texts {
		add(name, f.args, f.call)
	}
	return opts
}()

// meters pay for what comes after them. They give back their input.
var meters = map[string]func(f *fuel, in any) error{
	"__surface": func(f *fuel, in any) error { f.spend(surface(in)); return nil },
	"__across":  func(f *fuel, in any) error { f.walk(in, 16, 1); return nil },
	"__copies":  func(f *fuel, in any) error { f.walk(in, 64, 1); return nil },
	"__sorts":   func(f *fuel, in any) error { f.walk(in, 4, 8); return nil },
	"__spread":  func(f *fuel, in any) error { f.spend(32 * surface(in)); return nil },
	"__format":  func(f *fuel, in any) error { f.spend(512 * surface(in)); return nil },
	"__factor":  factor,
	"__number":  func(_ *fuel, in any) error { return digits(in) },
	"__index":   index,
	"__path":    path,
	"__texts":   allTexts,
}

// factor lets only numbers through, since jq's * also repeats texts and merges
// objects, and none so large that a few multiplications fill the memory.
func factor(_ *fuel, in any) error {
	switch v := in.(type) {
	case int, float64:
		return nil
	case json.Number:
		return digits(string(v))
	case *big.Int:
		if v.BitLen() > maxBits {
			return fmt.Errorf("%w: a number of more than %d bits", ErrLimit, maxBits)
		}
		return nil
	}
	return fmt.Errorf("* is for numbers only, not for %s", withArticle(gojq.TypeOf(in)))
}

func digits(in any) error {
	if s, ok := in.(string); ok && len(s) > maxDigits {
		return fmt.Errorf("%w: a number of more than %d digits", ErrLimit, maxDigits)
	}
	return nil
}

// index pays for the array that an assignment to .[n] may make.
func index(f *fuel, in any) error {
	switch in.(type) {
	case string, nil:
		return nil
	case int, float64, json.Number, *big.Int:
		if n, _ := gojq.ToInt(in); n > 1000 {
			f.spend(16 * min(int64(n), tank))
		}
		return nil
	}
	return fmt.Errorf("cannot index with %s", withArticle(gojq.TypeOf(in)))
}

func path(f *fuel, in any) error {
	steps, _ := in.([]any) // all else is getpath's to refuse
	f.spend(perNode * int64(len(steps)))
	for _, s := range steps {
		if _, slice := s.(map[string]any); slice {
			continue
		}
		if err := index(f, s); err != nil {
			return err
		}
	}
	return nil
}

// allTexts pays for joining the pieces of sub and gsub.
func allTexts(f *fuel, in any) error {
	for _, v := range in.([]any) {
		if _, ok := v.(string); !ok {
			return fmt.Errorf("the replacement is %s, not text", withArticle(gojq.TypeOf(v)))
		}
	}
	f.walk(in, 16, 1)
	return nil
}

// product pays for subtracting one array from another, which compares all with
// all, and gives back the two.
func product(f *fuel, _ any, args []any) any {
	l, ok1 := args[0].([]any)
	r, ok2 := args[1].([]any)
	if ok1 && ok2 && len(l) > 0 {
		f.spend(int64(len(l)) * int64(len(r)) * perNode)
		f.walk(l, 4, int64(min(len(r), 1000)))
		f.walk(r, 4, int64(min(len(l), 1000)))
	}
	return []any{args[0], args[1]}
}
