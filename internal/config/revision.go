package config

import "strings"

// ofNode are the keys that belong to a node, each of which has its own.
var ofNode = map[string]bool{"store": true, "listen": true, "admin": true, "internal": true, "log": true}

// SameRevision tells whether two texts are the same configuration for all nodes:
// they say the same, however it is laid out, but for what belongs to a node.
func SameRevision(a, b []byte) bool {
	return string(a) == string(b) || essence(a) == essence(b)
}

// essence is what a text says, without comments and without what belongs to a
// node. References are not followed: what they stand for is no part of a
// configuration. A text that cannot be read is its own essence.
func essence(text []byte) string {
	d := &document{}
	root := d.parse(text)
	if root == nil || len(d.problems) > 0 || root.kind != mapping {
		return string(text)
	}
	var b strings.Builder
	for _, p := range root.pairs {
		if !ofNode[p.key] {
			b.WriteString(p.key + ": " + p.value.String() + "\n")
		}
	}
	return b.String()
}
