package config

import (
	"net/url"
	"path/filepath"
	"strings"
)

// Store is the address of what keeps the gateway's state: sqlite:PATH, absolute
// or relative to the working directory, or the URL of a PostgreSQL database. It
// may hold a password, and is written without it.
type Store string

const usualStore Store = "sqlite:seawall.db"

// Engine is sqlite or postgres.
func (s Store) Engine() string {
	scheme, _, _ := strings.Cut(string(s), ":")
	if scheme == "postgresql" {
		return "postgres"
	}
	return scheme
}

// Path is the file of an SQLite store.
func (s Store) Path() string { return strings.TrimPrefix(string(s), "sqlite:") }

// String is the address without its password.
func (s Store) String() string {
	if s.Engine() != "postgres" {
		return string(s)
	}
	u, err := url.Parse(string(s))
	if err != nil {
		return "postgres://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for _, key := range secretParameters {
		q.Del(key)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// GoString is [Store.String].
func (s Store) GoString() string { return s.String() }

// MarshalText is [Store.String].
func (s Store) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// secretParameters are those of a URL's query that hold a secret.
var secretParameters = []string{"password", "sslpassword"}

const (
	storeHint    = "write sqlite:PATH, or postgres://USER@HOST/DATABASE"
	databaseHint = `for example "postgres://seawall:${DB_PASSWORD}@db.internal:5432/seawall?sslmode=verify-full"`
)

// store is the address of a store. The messages do not quote it: it may hold a
// password.
func (v value) store() Store {
	if !v.scalar() {
		return usualStore
	}
	escape := func(s string) string { return s }
	if strings.HasPrefix(v.node.text, "postgres") {
		escape = escapeURL
	}
	r := v.resolve(escape)
	s := Store(r.text)
	switch {
	case !r.ok:
	case s.Engine() == "postgres":
		v.database(s)
	case s.Engine() != "sqlite" || s.Path() == "":
		// It may hold a password, as a URL or as "host=… password=…".
		if strings.ContainsAny(r.text, "@=") {
			v.fail(storeHint, "not a store")
			break
		}
		v.fail(storeHint, "%s is not a store", v.quote(r.text))
	case v.env == "" && !filepath.IsAbs(s.Path()):
		// What a person sets in the environment is relative to where they are.
		return Store("sqlite:" + filepath.Join(v.r.opt.Dir, s.Path()))
	}
	return s
}

func (v value) database(s Store) {
	u, err := url.Parse(string(s))
	if err != nil || !strings.HasPrefix(string(s), u.Scheme+"://") {
		v.fail(databaseHint, "not the URL of a database")
		return
	}
	if v.env == "" && holdsPassword(v.node.text) {
		v.fail(`write "${NAME}" in its place and set the environment variable, or leave it to PGPASSWORD or ~/.pgpass`,
			"a password must not stand here in the clear")
	}
}

// holdsPassword tells whether the URL, its references not followed, has a
// password in which there is none.
func holdsPassword(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if _, password, ok := strings.Cut(rest[:at], ":"); ok && password != "" && !reference.MatchString(password) {
			return true
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		key, v, _ := strings.Cut(pair, "=")
		for _, secret := range secretParameters {
			if key == secret && v != "" && !reference.MatchString(v) {
				return true
			}
		}
	}
	return false
}

// escapeURL makes a text fit any place of a URL after its scheme.
func escapeURL(s string) string {
	return strings.NewReplacer("+", "%2B", "&", "%26", "@", "%40").Replace(url.PathEscape(s))
}

// ParseStore reads the address of a store as the file would have it: a password
// only by a reference. The error is [Errors]; name is what they call the text.
func ParseStore(text, name string, opt Options) (Store, error) {
	r := newReader(name, opt)
	s := value{r: r, path: "store", node: &node{doc: r.document, kind: scalar, text: text, style: folded}}.store()
	if len(r.problems) > 0 {
		return "", r.problems.sorted()
	}
	return s, nil
}
