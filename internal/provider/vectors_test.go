package provider

import (
	"os"
	"strings"
	"testing"
)

// Every published or SDK-made vector of the providers that are built passes.
func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rep, err := RunVectors(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, fail := range rep.Failures {
		t.Errorf("%s (%s): %s", fail.ID, fail.Why, fail.Got)
	}
	if rep.Passed < 250 || len(rep.Unknown) > 0 {
		t.Errorf("%d passed, unknown: %v", rep.Passed, rep.Unknown)
	}
}

func TestVectorsTellWhatFails(t *testing.T) {
	const good = `{"id":"v1","provider":"generic_bearer","kind":"event","secret":"0123456789abcdef","method":"POST","url":"https://h/x",` +
		`"headers":{"Authorization":"Bearer 0123456789abcdef"},"body":"eyJpZCI6NX0=","now":1,"valid":true,"why":"valid","expect":{"event_id":"5","paths":{"event_id":"body.id"}}}`
	wrongID := strings.Replace(good, `"event_id":"5"`, `"event_id":"6"`, 1)
	forged := strings.Replace(good, `"valid":true`, `"valid":false`, 1)
	alien := strings.Replace(good, "generic_bearer", "nobody", 1)
	rep, err := RunVectors(strings.NewReader(strings.Join([]string{good, wrongID, "", forged, alien}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := rep.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	const want = "FAIL v1 (valid): event 1: event_id is \"5\", not \"6\" ()\nFAIL v1 (valid): accepted\nnot known: nobody, 1 vectors\n1 passed, 2 failed\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if _, err := RunVectors(strings.NewReader("no vector")); err == nil {
		t.Error("a line that is no vector was passed over")
	}
}
