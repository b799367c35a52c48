package seawall

import "strings"

// name and parseName map small enumerations to the words that the outside sees.
func name[T ~uint8](v T, names ...string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "invalid"
}

func parseName[T ~uint8](s, what string, names ...string) (T, error) {
	for i, n := range names {
		if n == s {
			return T(i), nil
		}
	}
	return 0, Errorf(ErrInvalid, "%q is not a %s", clip(s), what).
		WithHint("one of: %s", strings.Join(names, ", "))
}
