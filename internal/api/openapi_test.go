package api_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/seawall-dev/seawall/internal/api"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

func TestOpenAPI_IsCurrent(t *testing.T) {
	const path = "../../docs/openapi.json"
	want, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/openapi.json is not what the code describes: go test ./internal/api -run OpenAPI -update")
	}
}
