package config

import (
	_ "embed"
	"encoding/json"
	"sync"
)

//go:generate go run ./reference

//go:embed schema.json
var schemaText []byte

// Schema is the JSON Schema (draft 2020-12) of the configuration, for editors.
// It is also what the reader takes the names of keys from, and what the
// reference in docs/configuration.md is written from.
func Schema() []byte { return schemaText }

// shape is an object of the schema, as far as the reader needs it.
type shape struct {
	Properties map[string]property `json:"properties"`
	Later      []string            `json:"x-later"` // keys of the design that this version does not have
	Additional json.RawMessage     `json:"additionalProperties"`
}

// open tells whether there may be other keys, which are names.
func (s shape) open() bool { return len(s.Additional) > 0 && s.Additional[0] == '{' }

type property struct {
	Ref        string          `json:"$ref"`
	Additional json.RawMessage `json:"additionalProperties"`
}

var shapes = sync.OnceValue(func() map[string]shape {
	var root struct {
		shape
		Defs map[string]shape `json:"$defs"`
	}
	if err := json.Unmarshal(schemaText, &root); err != nil {
		panic("config: schema.json: " + err.Error())
	}
	root.Defs[""] = root.shape
	return root.Defs
})

func (s shape) keys() []string {
	var keys []string
	for k := range s.Properties {
		keys = append(keys, k)
	}
	return keys
}
