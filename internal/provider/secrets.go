package provider

import (
	"fmt"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// SettingError is a setting of a source that is missing, wrong, or does not
// belong to its provider. It never quotes a secret.
type SettingError struct {
	Key  string // name of the setting in the configuration, without its place in the file
	Msg  string
	Hint string // what to do; may be ""
}

func (e *SettingError) Error() string { return e.Key + ": " + e.Msg }

func wrong(key, format string, args ...any) *SettingError {
	return &SettingError{Key: key, Msg: fmt.Sprintf(format, args...)}
}

func (e *SettingError) hint(format string, args ...any) *SettingError {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// A secret shorter than this is found by trying, from one captured request.
const (
	leastText    = 8  // characters of a secret that a person may have made up
	leastDecoded = 16 // bytes of a secret that a program made
)

// textKeys are secrets that are used as they are written.
func textKeys(key string, secrets []Secret, where string) ([]verify.Key, error) {
	return keys(key, secrets, where, func(s string) ([]byte, error) { return []byte(s), nil })
}

// keys checks secrets and decodes them. where tells where to find the secret.
func keys(key string, secrets []Secret, where string, decode func(string) ([]byte, error)) ([]verify.Key, error) {
	if len(secrets) == 0 {
		return nil, wrong(key, "is missing").hint("%s", where)
	}
	out := make([]verify.Key, 0, len(secrets))
	for i, s := range secrets {
		nth := ""
		if len(secrets) > 1 {
			nth = fmt.Sprintf("number %d ", i+1)
		}
		if why := weak(s.Value); why != "" {
			return nil, wrong(key, "%s%s", nth, why).hint("%s", where)
		}
		b, err := decode(s.Value)
		if err != nil {
			return nil, wrong(key, "%shas the wrong form: %v", nth, err).hint("%s", where)
		}
		out = append(out, verify.Key{Bytes: b, Expires: s.Expires})
	}
	return out, nil
}

// weak says why a secret is none, or "".
func weak(s string) string {
	switch {
	case s == "":
		return "is empty"
	case strings.TrimSpace(s) != s:
		return "begins or ends with a space or a line break"
	case len(s) < leastText:
		return fmt.Sprintf("is too short to be a secret: at least %d characters are needed", leastText)
	}
	switch strings.ToLower(s) {
	case "changeme", "change-me", "change_me", "password", "password1", "12345678", "123456789", "1234567890",
		"your-secret", "your_secret", "yoursecret", "placeholder", "undefined":
		return "is a placeholder, not a secret"
	}
	if strings.Count(s, s[:1]) == len(s) {
		return "is one character over and over, not a secret"
	}
	return ""
}
