package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seawall-dev/seawall/test/pgcluster"
)

const (
	inSecret  = "whsec_0123456789abcdef0123456789abcdef"
	outSecret = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
)

// example is one configuration of examples/, with what a sender sends and what
// must come of it.
type example struct {
	elsewhere string // the test of its own that it has
	postgres  bool   // on a database of its own
	env       []string
	files     map[string]string
	posts     []post
	want      []string // "METHOD PATH signed|plain BODY", in any order
	check     func(t *testing.T, r request)
}

type post struct {
	source string
	header http.Header
	body   string
}

var examples = map[string]example{
	"quickstart": {
		files: map[string]string{"secrets/github": inSecret, "secrets/orders": outSecret},
		posts: []post{
			{"github", github(inSecret, "push", "1", `{"ref":"refs/heads/main"}`), `{"ref":"refs/heads/main"}`},
			{"github", github(inSecret, "star", "2", `{}`), `{}`},
		},
		want: []string{`POST /hooks signed {"ref":"refs/heads/main"}`},
	},
	"stripe-to-app": {
		env: []string{"STRIPE_WEBHOOK_SECRET=" + inSecret, "PAYMENTS_SECRET=" + outSecret},
		posts: []post{
			paid("evt_1", true), paid("evt_2", false),
		},
		want: []string{"POST /payments signed " + paid("evt_1", true).body},
	},
	"shopify-fan-out": {
		env: []string{"SHOPIFY_SECRET=new-0123456789abcdef", "OLD_SHOPIFY_SECRET=old-0123456789abcdef", "WAREHOUSE_SECRET=" + outSecret},
		posts: []post{
			shop("new-0123456789abcdef", "orders/create", "1", `{"id":450789469,"name":"#1001","email":"bob@example.com"}`),
			shop("old-0123456789abcdef", "orders/create", "2", `{"id":450789470,"name":"#1002","email":null}`),
			shop("new-0123456789abcdef", "products/update", "3", `{"id":788032119674292922,"title":"Größe"}`),
		},
		want: []string{
			`POST /warehouse signed {"id":450789469,"name":"#1001","email":"bob@example.com"}`,
			`POST /warehouse signed {"id":450789470,"name":"#1002","email":null}`,
			`POST /mail plain {"order":"#1001","template":"order-confirmed","to":"bob@example.com"}`,
			`PUT /products/788032119674292922 plain {"id":788032119674292922,"title":"Größe"}`,
		},
	},
	"github-filter": {
		env: []string{"GITHUB_SECRET=" + inSecret},
		posts: []post{
			pushed("1", "refs/heads/main", 2), pushed("2", "refs/heads/next", 1), pushed("3", "refs/heads/main", 0),
		},
		want: []string{`POST /chat plain {"text":"octocat pushed 2 commit(s) to acme/shop"}`},
	},
	"postgres": {
		postgres: true,
		env:      []string{"GITHUB_SECRET=" + inSecret, "ORDERS_SECRET=" + outSecret},
		posts: []post{
			{"github", github(inSecret, "push", "1", `{"ref":"refs/heads/main"}`), `{"ref":"refs/heads/main"}`},
			{"github", github(inSecret, "push", "2", `{"ref":"refs/heads/next"}`), `{"ref":"refs/heads/next"}`},
		},
		want: []string{`POST /hooks signed {"ref":"refs/heads/main"}`, `POST /hooks signed {"ref":"refs/heads/next"}`},
	},
	"entities": {
		env: []string{"SHOPIFY_SECRET=new-0123456789abcdef", "STRIPE_WEBHOOK_SECRET=" + inSecret},
		posts: []post{
			shop("new-0123456789abcdef", "orders/create", "1", `{"id":450789469,"updated_at":"2026-11-24T10:00:00+01:00"}`),
			paidFor("evt_1", `{"order_id":"450789469"}`),
			paidFor("evt_2", `{}`),
		},
		want: []string{
			`POST /orders/450789469/events plain {"order":"450789469","version":"2026-11-24T10:00:00+01:00","what":"orders/create"}`,
			`POST /orders/450789469/events plain {"order":"450789469","version":"[\"1795400000\",\"evt_1\"]","what":"payment_intent.succeeded"}`,
		},
		check: func(t *testing.T, r request) {
			if got := r.header.Get("Seawall-Entity"); got != "order/450789469" {
				t.Errorf("seawall-entity: %q", got)
			}
			if r.header.Get("Seawall-Version") == "" {
				t.Error("no seawall-version")
			}
		},
	},
	"orders":   {elsewhere: "TestG5_ExampleOfOrders"},
	"payments": {elsewhere: "TestG6_ExampleOfPayments"},
	"users":    {elsewhere: "TestG5_ExampleOfUsers"},
	"cutover": {
		env:   []string{"STRIPE_WEBHOOK_SECRET=" + inSecret},
		posts: []post{paid("evt_1", true)},
		want:  []string{"POST /webhooks/stripe plain " + paid("evt_1", true).body},
		check: func(t *testing.T, r request) {
			var at int64
			var mac string
			if _, err := fmt.Sscanf(r.header.Get("Stripe-Signature"), "t=%d,v1=%s", &at, &mac); err != nil {
				t.Fatalf("Stripe's signature did not come along: %v", err)
			}
			if want := fmt.Sprintf("%x", sum(inSecret, fmt.Sprintf("%d.%s", at, r.body))); mac != want {
				t.Errorf("Stripe's signature does not match what came")
			}
		},
	},
}

func paid(id string, live bool) post {
	body := fmt.Sprintf(`{"id":%q,"type":"payment_intent.succeeded","created":1795400000,"livemode":%t,"data":{"object":{"id":"pi_1"}}}`, id, live)
	return post{"stripe", stripe(inSecret, body), body}
}

func paidFor(id, metadata string) post {
	body := fmt.Sprintf(`{"id":%q,"type":"payment_intent.succeeded","created":1795400000,"data":{"object":{"id":"pi_1","metadata":%s}}}`, id, metadata)
	return post{"stripe", stripe(inSecret, body), body}
}

func shop(secret, topic, id, body string) post {
	return post{"shop", shopify(secret, topic, id, body), body}
}

func pushed(id, ref string, commits int) post {
	list := strings.TrimSuffix(strings.Repeat("{},", commits), ",")
	body := fmt.Sprintf(`{"ref":%q,"commits":[%s],"pusher":{"name":"octocat"},"repository":{"full_name":"acme/shop"}}`, ref, list)
	return post{"github", github(inSecret, "push", id, body), body}
}

// Each example runs as it stands, but for the port of its destination.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/seawall.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(examples) {
		t.Errorf("%d examples in the tree, %d tested", len(files), len(examples))
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex, ok := examples[name]
			if !ok {
				t.Fatal("not in the table above")
			}
			if ex.elsewhere != "" {
				return
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runExample(t, string(text), ex)
		})
	}
}

func runExample(t *testing.T, text string, ex example) {
	d := newDestination(t, nil)
	env := ex.env
	if ex.postgres {
		env = append(slices.Clone(env), "SEAWALL_STORE="+pgcluster.Shared(t))
	}
	g := newGateway(t, strings.ReplaceAll(text, "http://127.0.0.1:9000", d.URL), env...)
	for name, secret := range ex.files {
		path := filepath.Join(g.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.start()

	for _, p := range ex.posts {
		if status, text := g.post(p.source, p.header, []byte(p.body)); status != http.StatusOK {
			t.Fatalf("%s: %d %s", p.source, status, text)
		}
	}
	var got []string
	for range ex.want {
		r := d.next()
		how := "plain"
		if signed(outSecret, r) {
			how = "signed"
		}
		got = append(got, fmt.Sprintf("%s %s %s %s", r.method, r.path, how, r.body))
		if ex.check != nil {
			ex.check(t, r)
		}
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(ex.want))
	if !slices.Equal(got, want) {
		t.Errorf("delivered\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}

	// Nothing is left over, and all that went nowhere is there to see.
	g.stop()
	d.none()
	g.start()
	if n := len(g.list("/events")); n != len(ex.posts) {
		t.Errorf("%d events are kept, want %d", n, len(ex.posts))
	}
	if open := len(g.list("/deliveries")); open != len(ex.want) {
		t.Errorf("%d deliveries, want %d", open, len(ex.want))
	}
	g.stop()
}
