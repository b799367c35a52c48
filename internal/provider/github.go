package provider

import (
	"errors"
	"net/url"
	"strings"

	"github.com/seawall-dev/seawall/internal/verify"
)

// GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
// The SHA-1 header beside the SHA-256 one is ignored. The body is JSON, or a
// form with the JSON in its field payload; the signature is over the raw body.

var github = entry{
	Info: Info{
		Name: "github", Title: "GitHub",
		Doc:   "X-Hub-Signature-256: sha256=…; HMAC-SHA256 over the body",
		ID:    "header X-GitHub-Delivery",
		Needs: "secret",
		Keys:  []string{"secret"},
	},
	objects: true,
	open:    openGitHub,
	sample: func(n string) sample {
		return sample{
			header: map[string]string{"X-GitHub-Event": "issues", "X-GitHub-Delivery": n, "User-Agent": "GitHub-Hookshot/sample"},
			body: `{"action":"opened","issue":{"id":1` + numeric(n) + `,"number":7,"title":"The sea is rising","state":"open","updated_at":"` + sampleTime +
				`"},"repository":{"id":186853002,"full_name":"octocat/hello-world"},"sender":{"login":"octocat","id":1}}`,
		}
	},
	sign: signPlain(gitHubHeader, "sha256=", verify.Hex),
}

// The headers, spelled as net/http keeps them.
const (
	gitHubHeader   = "X-Hub-Signature-256"
	gitHubEvent    = "X-Github-Event"
	gitHubDelivery = "X-Github-Delivery"
)

// gitHubObjects says which object in the payload an event is about. The others
// are about the repository, or the organization where there is none.
var gitHubObjects = map[string]string{
	"check_run":                      "check_run",
	"check_suite":                    "check_suite",
	"code_scanning_alert":            "alert",
	"dependabot_alert":               "alert",
	"deployment":                     "deployment",
	"deployment_protection_rule":     "deployment",
	"deployment_review":              "workflow_run",
	"deployment_status":              "deployment",
	"discussion":                     "discussion",
	"discussion_comment":             "discussion",
	"installation":                   "installation",
	"installation_repositories":      "installation",
	"installation_target":            "installation",
	"issue_comment":                  "issue",
	"issues":                         "issue",
	"label":                          "label",
	"milestone":                      "milestone",
	"package":                        "package",
	"project":                        "project",
	"project_card":                   "project_card",
	"project_column":                 "project_column",
	"projects_v2":                    "projects_v2",
	"projects_v2_item":               "projects_v2_item",
	"pull_request":                   "pull_request",
	"pull_request_review":            "pull_request",
	"pull_request_review_comment":    "pull_request",
	"pull_request_review_thread":     "pull_request",
	"registry_package":               "registry_package",
	"release":                        "release",
	"repository_advisory":            "repository_advisory",
	"repository_vulnerability_alert": "alert",
	"secret_scanning_alert":          "alert",
	"secret_scanning_alert_location": "alert",
	"sub_issues":                     "parent_issue",
	"workflow_job":                   "workflow_job",
	"workflow_run":                   "workflow_run",
}

// gitHubPickers holds a picker for each object: action, the object's key, its
// version, and what stands in for it.
var gitHubPickers = func() map[string]*picker {
	m := map[string]*picker{"": pick("action", "repository.id", "organization.id")}
	for _, object := range gitHubObjects {
		key := object + ".id"
		if object == "alert" {
			key = "alert.number" // alerts are numbered within their repository
		}
		m[object] = pick("action", key, object+".updated_at", "repository.id", "organization.id")
	}
	return m
}()

func openGitHub(s Settings) (*source, error) {
	keys, err := textKeys("secret", s.Secrets, "the secret that you gave the webhook: repository or app settings, Webhooks")
	if err != nil {
		return nil, err
	}
	return &source{
		traits:    Traits{MaxBody: 25 << 20},
		keys:      keys,
		signature: gitHubHeader,
		check:     plainHMAC("github sha256", gitHubHeader, "sha256=", verify.Hex),
		items:     gitHubItems,
	}, nil
}

func gitHubItems(r *Request) ([]Item, string) {
	it := Item{Type: r.Header.Get(gitHubEvent)}
	payload, err := gitHubPayload(r)
	if err == nil {
		err = gitHubObject(&it, payload)
	}
	it, problem := identified(it, r.Header.Get(gitHubDelivery), "the header X-GitHub-Delivery is missing", r.Body)
	return []Item{it}, join(problem, unreadable(err))
}

// gitHubObject reads what the event is about.
func gitHubObject(it *Item, payload []byte) error {
	object := gitHubObjects[it.Type]
	if object == "" {
		v, err := gitHubPickers[""].from(payload, 0b011)
		it.Action, it.Entity = v[0], firstOf(v[1], v[2])
		return err
	}
	v, err := gitHubPickers[object].from(payload, 0b00111)
	it.Action, it.Entity = v[0], firstOf(v[1], v[3], v[4])
	if v[1] != "" && v[2] != "" {
		it.Version, it.OccurredRaw, it.OccurredAt = v[2], v[2], moment(v[2])
	}
	return err
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// gitHubPayload is the JSON in the body, which may be a form.
func gitHubPayload(r *Request) ([]byte, error) {
	if !isForm(r) {
		return r.Body, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, errors.New("the form cannot be read")
	}
	return []byte(form.Get("payload")), nil
}

func isForm(r *Request) bool {
	return strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/x-www-form-urlencoded")
}
