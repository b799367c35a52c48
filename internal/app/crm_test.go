package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seawall-dev/seawall/internal/config"
	"github.com/seawall-dev/seawall/internal/store"
	"github.com/seawall-dev/seawall/seawall"
)

// contact is a record of the crm.
type contact struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	User  any    `json:"user_id"`
	Name  string `json:"name"`
	made  time.Time
}

// crm is a system that keeps contacts, and takes any number for one user unless it is
// strict. What it is asked to create shows in its search after a while only.
type crm struct {
	*httptest.Server
	mu       sync.Mutex
	contacts []*contact
	lag      time.Duration
	strict   bool              // an email that is there is a conflict
	keys     map[string]string // ids, by key; nil: it takes none
	asked    []string          // METHOD /path?query, in the order they came

	// act says what it does about a request beside what it should: "drop" hangs up
	// before it is done, "lose" after, "blank" leaves the id out of the answer, a
	// number is answered in its place.
	act func(r *http.Request, n int) string
}

func newCRM(t *testing.T) *crm {
	c := &crm{act: func(*http.Request, int) string { return "" }}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *crm) serve(w http.ResponseWriter, r *http.Request) {
	var body contact
	_ = json.NewDecoder(r.Body).Decode(&body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI())
	act := c.act(r, len(c.asked))
	switch act {
	case "", "lose", "blank":
	case "drop":
		panic(http.ErrAbortHandler)
	default:
		var status int
		fmt.Sscan(act, &status)
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	status, answer := c.do(r, &body)
	if act == "lose" {
		panic(http.ErrAbortHandler)
	}
	if act == "blank" {
		answer = map[string]any{}
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (c *crm) do(r *http.Request, in *contact) (int, any) {
	id, one := strings.CutPrefix(r.URL.Path, "/contacts/")
	switch {
	case r.Method == http.MethodGet:
		found := []*contact{}
		for _, k := range c.contacts {
			if k.Email == r.URL.Query().Get("email") && time.Since(k.made) >= c.lag {
				found = append(found, k)
			}
		}
		return http.StatusOK, map[string]any{"results": found}
	case r.Method == http.MethodPost && !one:
		key := r.Header.Get("Idempotency-Key")
		if made := c.keys[key]; made != "" {
			return http.StatusCreated, map[string]any{"id": made}
		}
		if c.strict && slices.ContainsFunc(c.contacts, func(k *contact) bool { return k.Email == in.Email }) {
			return http.StatusConflict, map[string]any{"error": "exists"}
		}
		in.ID, in.made = fmt.Sprint(len(c.contacts)+101), time.Now()
		c.contacts = append(c.contacts, in)
		if c.keys != nil {
			c.keys[key] = in.ID
		}
		return http.StatusCreated, in
	}
	for _, k := range c.contacts {
		if k.ID == id {
			k.Email, k.User, k.Name = in.Email, in.User, in.Name
			return http.StatusOK, k
		}
	}
	return http.StatusNotFound, map[string]any{"error": "no such contact"}
}

// requests counts those that begin so.
func (c *crm) requests(prefix string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// of lists the contacts of an email.
func (c *crm) of(email string) (out []contact) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.contacts {
		if k.Email == email {
			out = append(out, *k)
		}
	}
	return out
}

// users is a configuration: users of an app, kept as contacts in a crm.
func users(t *testing.T, c *crm, settings ...string) *config.Config {
	t.Helper()
	text := `
store: sqlite:` + t.TempDir() + `/seawall.db
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
egress: { allow: ["127.0.0.0/8"] }
sources: { app: { provider: none, id: .event, type: .type } }
systems:
  crm: { url: "` + c.URL + `", breaker: off SYSTEM }
entities:
  user: { app: { types: ["user.*"], key: .user.id, version: .user.version } }
destinations:
  contacts:
    system: crm
    body: '{email: .user.email, name: .user.name, user_id: ($entity.key)}'
    timeout: 10s
    retry: { max: 20 }
    UPSERT
    upsert:
      find: ["GET /contacts?email={.user.email}"]
      found: .results[0]
      adopt: '.user_id == null or (.user_id | tostring) == $entity.key'
      create: POST /contacts
      update: PATCH /contacts/{$link.crm}
      lag: 800ms
routes:
  - { name: users, from: app, types: ["user.*"], to: contacts, entity: user, order: latest }
`
	for i := 0; i < len(settings); i += 2 {
		text = strings.ReplaceAll(text, settings[i], settings[i+1])
	}
	text = strings.NewReplacer(" SYSTEM", "", "    UPSERT\n", "").Replace(text)
	out, err := config.Parse([]byte(text), "users", config.Options{
		Getenv: func(string) (string, bool) { return "", false }, Environ: func() []string { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range out.Destinations {
		d.Retry.First, d.Retry.Cap = 10*time.Millisecond, 300*time.Millisecond
	}
	return out
}

// user posts an event about one.
func (r *running) user(id, version int, name string) {
	r.t.Helper()
	r.post(fmt.Sprintf(`{"event":"%d.%d","type":"user.changed","user":{"id":%d,"version":%d,"email":"u%d@example.com","name":%q}}`,
		id, version, id, version, id, name))
}

func (r *running) post(body string) {
	r.t.Helper()
	resp, err := http.Post("http://"+r.PublicAddr()+"/in/app", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("answered %d", resp.StatusCode)
	}
}

// latest is the newest delivery about a user.
func (r *running) latest(id int) *seawall.Delivery {
	r.t.Helper()
	l, err := r.store.ListDeliveries(r.t.Context(), store.DeliveryFilter{Entity: fmt.Sprintf("user/%d", id)}, store.Page{Limit: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(l.Items) == 0 {
		return &seawall.Delivery{}
	}
	return &l.Items[0]
}

// comes waits until the newest delivery about a user has come to a state.
func (r *running) comes(id int, to seawall.State) (d *seawall.Delivery) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("user %d is %s", id, to), func() bool {
		d = r.latest(id)
		return d.State == to && !d.ID.IsZero()
	})
	return d
}

// story is what each attempt of a delivery did.
func (r *running) story(id seawall.DeliveryID) (out []string) {
	r.t.Helper()
	as, err := r.store.Attempts(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range as {
		a := &as[i]
		text := a.Step.String() + " " + a.Outcome.String()
		if a.Response != nil {
			text += fmt.Sprint(" ", a.Response.Status)
		}
		for _, x := range a.Asked {
			text += ", " + x.What
		}
		if a.Next == "" || a.Outcome != seawall.OK && a.Error == "" {
			r.t.Errorf("attempt %d is not explained: %+v", a.N, a)
		}
		out = append(out, text)
	}
	return out
}

func (r *running) link(entity string) string {
	r.t.Helper()
	ls, err := r.store.LinksOf(r.t.Context(), entity)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range ls {
		if l.System == "crm" {
			return l.Record
		}
	}
	return ""
}

func isGet(r *http.Request) bool { return r.Method == http.MethodGet }
