package api_test

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is docs/openapi.json, as something to check answers against.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	seen     map[string]bool // operations that were answered with 2xx
}

var theContract = sync.OnceValues(func() (*contract, error) {
	raw, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		return nil, err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("openapi.json", parsed); err != nil {
		return nil, err
	}
	return &contract{doc: parsed.(map[string]any), compiler: c, seen: map[string]bool{}}, nil
})

// checked fails the test where an answer is not what the document says.
func checked(t *testing.T, next http.Handler) http.Handler {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if err := c.check(r, rec); err != nil {
			t.Errorf("%s %s: %v\n%s", r.Method, r.URL, err, rec.Body)
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

func (c *contract) check(r *http.Request, w *httptest.ResponseRecorder) error {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v1")
	if !ok || strings.HasPrefix(rest, "/openapi.") {
		return nil
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			return fmt.Errorf("%s: %q", name, got)
		}
	}
	media, _, _ := mime.ParseMediaType(w.Header().Get("Content-Type"))
	path, op := c.find(r.Method, rest)
	if op == nil { // no such operation: a problem is all that may come
		if w.Code/100 == 2 || media != "application/problem+json" {
			return fmt.Errorf("%d %s for an operation that is not described", w.Code, media)
		}
		return c.valid("#/components/schemas/Problem", w.Body.Bytes())
	}
	status := fmt.Sprint(w.Code)
	responses := op["responses"].(map[string]any)
	if _, ok := responses[status]; !ok {
		if status = "default"; w.Code/100 == 2 {
			return fmt.Errorf("status %d is not described", w.Code)
		}
	}
	c.mu.Lock()
	if w.Code/100 == 2 {
		c.seen[op["operationId"].(string)] = true
	}
	c.mu.Unlock()
	content, _ := responses[status].(map[string]any)["content"].(map[string]any)
	if len(content) == 0 {
		if w.Body.Len() > 0 {
			return fmt.Errorf("a body where none is described")
		}
		return nil
	}
	if _, ok := content[media]; !ok {
		return fmt.Errorf("media type %q is not described for %s", media, status)
	}
	if media == "application/octet-stream" {
		return nil
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	return c.valid(fmt.Sprintf("#/paths/%s/%s/responses/%s/content/%s/schema", escape.Replace(path),
		strings.ToLower(r.Method), status, escape.Replace(media)), w.Body.Bytes())
}

// find returns the operation at a path, literal segments before parameters.
func (c *contract) find(method, path string) (template string, op map[string]any) {
	best := -1
	for t, item := range c.doc["paths"].(map[string]any) {
		o, _ := item.(map[string]any)[strings.ToLower(method)].(map[string]any)
		if n := literals(t, path); o != nil && n > best {
			template, op, best = t, o, n
		}
	}
	return template, op
}

func literals(template, path string) int {
	ts, ps := strings.Split(template, "/"), strings.Split(path, "/")
	if len(ts) != len(ps) {
		return -1
	}
	n := 0
	for i := range ts {
		switch {
		case ts[i] == ps[i]:
			n++
		case !strings.HasPrefix(ts[i], "{"):
			return -1
		}
	}
	return n
}

func (c *contract) valid(pointer string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	schema, err := c.compiler.Compile("openapi.json" + pointer)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// The checker itself must be able to fail.
func TestContract_Bites(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"data":[]}`, `{"data":[{"id":"evt_1"}],"next":""}`, `{"data":[],"next":"","more":1}`} {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.WriteString(body)
		if c.check(httptest.NewRequest("GET", "/api/v1/events", nil), w) == nil {
			t.Errorf("%s passes", body)
		}
	}
}

// operations lists the ids of all operations.
func (c *contract) operations() (ids []string) {
	for _, item := range c.doc["paths"].(map[string]any) {
		for _, o := range item.(map[string]any) {
			ids = append(ids, o.(map[string]any)["operationId"].(string))
		}
	}
	return ids
}

// Every operation must have been answered, and checked, by some test.
func TestMain(m *testing.M) {
	code := m.Run()
	c, err := theContract()
	if code == 0 && err == nil && !filtered() {
		for _, id := range c.operations() {
			if !c.seen[id] {
				fmt.Fprintf(os.Stderr, "no test has seen operation %s succeed\n", id)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// filtered tells whether only some tests were asked for.
func filtered() bool {
	for _, a := range os.Args[1:] {
		if strings.HasPrefix(a, "-test.run") || strings.HasPrefix(a, "-test.list") || strings.HasPrefix(a, "-test.fuzz") || strings.HasPrefix(a, "-test.skip") {
			return true
		}
	}
	return false
}
