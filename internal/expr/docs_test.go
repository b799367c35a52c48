package expr

import (
	"os"
	"strings"
	"testing"
)

// The page on expressions names every function and format that there is.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	for key := range functions {
		name, _, _ := strings.Cut(key, "/")
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("function %s is not in docs/expressions.md", name)
		}
	}
	for name := range formats {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("format %s is not in docs/expressions.md", name)
		}
	}
}
