package expr

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxNames = 8 // brackets behind a field's name that are read as a structure

// parseForm reads a form into an object of its fields: texts, or lists where a
// name came several times. Names with brackets, as Stripe, Mailchimp and PHP
// write structures, are there as they came and beside that as what they mean:
// metadata[order_id]=7 is .["metadata[order_id]"] and .metadata.order_id. What
// does not fit together, such as a=1&a[b]=2, stays as it came.
func parseForm(body []byte) (any, error) {
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("payload: not a form: a % that escapes nothing, or a semicolon")
	}
	object := make(map[string]any, len(fields))
	for name, values := range fields {
		object[name] = formValue(values)
	}
	tree := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if path := formPath(name); len(path) > 1 {
			graft(tree, path, fields[name])
		}
	}
	for name, v := range tree {
		if _, taken := object[name]; !taken {
			object[name] = listed(v)
		}
	}
	return object, nil
}

func formValue(values []string) any {
	if len(values) == 1 {
		return values[0]
	}
	several := make([]any, len(values))
	for i, v := range values {
		several[i] = v
	}
	return several
}

// formPath splits a[b][c] into its names; nil if it is not of that form.
func formPath(name string) []string {
	first, rest, ok := strings.Cut(name, "[")
	if !ok || first == "" || !strings.HasSuffix(rest, "]") {
		return nil
	}
	path := append([]string{first}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
	if len(path) > maxNames || slices.Contains(path[:len(path)-1], "") || slices.ContainsFunc(path, func(s string) bool { return strings.ContainsAny(s, "[]") }) {
		return nil
	}
	return path
}

// graft puts values where a path leads. An empty name at its end, as in a[]=1,
// stands for a list.
func graft(tree map[string]any, path []string, values []string) {
	last := len(path) - 1
	list := path[last] == ""
	if list {
		last--
	}
	for _, name := range path[:last] {
		next, ok := tree[name].(map[string]any)
		if !ok {
			if tree[name] != nil {
				return
			}
			next = map[string]any{}
			tree[name] = next
		}
		tree = next
	}
	name := path[last]
	if _, taken := tree[name]; taken {
		return
	}
	if tree[name] = formValue(values); list && len(values) == 1 {
		tree[name] = []any{values[0]}
	}
}

// listed makes lists of objects whose names are 0, 1, 2 and so on.
func listed(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	list := make([]any, len(object))
	for name, inner := range object {
		inner = listed(inner)
		object[name] = inner
		if i, err := strconv.Atoi(name); list != nil && err == nil && i >= 0 && i < len(list) && strconv.Itoa(i) == name {
			list[i] = inner
		} else {
			list = nil
		}
	}
	if list != nil {
		return list
	}
	return object
}
