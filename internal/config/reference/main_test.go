package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/seawall-dev/seawall/internal/config"
)

func TestUpToDate(t *testing.T) {
	const file = "../../../docs/configuration.md"
	want, err := reference(config.Schema())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the schema says: go generate ./internal/config", file)
	}
}
