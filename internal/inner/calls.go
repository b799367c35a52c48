package inner

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seawall-dev/seawall/internal/access"
	"github.com/seawall-dev/seawall/internal/call"
	"github.com/seawall-dev/seawall/internal/problem"
	"github.com/seawall-dev/seawall/seawall"
)

const (
	callHeader = "Seawall-Call"
	replayed   = "Idempotent-Replayed"
)

// post takes a call over.
func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	system := r.PathValue("system")
	t, err := h.admit(r, bearer(r.Header), access.Calls(system))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	p, release, err := h.posted(w, r, system, t)
	defer release()
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	done, err := h.Calls.Post(r.Context(), *p)
	if err != nil {
		h.refuse(w, r, worded(err))
		return
	}
	c := done.Call
	p = nil // its body need not be held while we wait
	release()
	if done.Again {
		if !c.Settled() || c.Answer == nil && c.Delivery.State == seawall.Held {
			h.inFlight(w, c)
			return
		}
		w.Header().Set(replayed, "true")
	} else if c, err = h.awaited(w, r, c); err != nil {
		h.refuse(w, r, err)
		return
	}
	h.result(w, c)
}

// posted reads a call as it is posted. release is that of its body.
func (h *Handler) posted(w http.ResponseWriter, r *http.Request, system string, t *seawall.Token) (_ *call.Post, release func(), _ error) {
	release = func() {}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		p := problem.New(http.StatusUnsupportedMediaType, "a call is posted as JSON")
		p.Hint = `send Content-Type: application/json; what the call itself sends is its "body", "form" or "body_base64"`
		return nil, release, p
	}
	key, err := call.ParseKey(r.Header.Values("Idempotency-Key"))
	if err != nil {
		return nil, release, badRequest(err)
	}
	// A body in base64 is a third longer than itself.
	limit := h.Current().Config.Limits.Body
	document, release, err := h.body(w, r, limit/3*4+64<<10)
	if err != nil {
		return nil, release, err
	}
	req, err := call.Parse(document)
	switch {
	case err != nil:
		return nil, release, badRequest(err)
	case int64(len(req.Body)) > limit:
		return nil, release, tooLarge()
	}
	return &call.Post{Request: *req, System: system, By: t.Name, Key: key, Remote: r.RemoteAddr, Proof: "token " + t.Name}, release, nil
}

// awaited waits for a call for as long as the client prefers.
func (h *Handler) awaited(w http.ResponseWriter, r *http.Request, c *call.Call) (*call.Call, error) {
	wait, asked := prefer(r.Header.Values("Prefer"))
	if !asked {
		return c, nil
	}
	w.Header().Set("Preference-Applied", applied(wait))
	return h.wait(w, r, c, wait)
}

func (h *Handler) wait(w http.ResponseWriter, r *http.Request, c *call.Call, wait time.Duration) (*call.Call, error) {
	waiting(w)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + writeTime))
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	return h.Calls.Wait(ctx, c)
}

// result answers with a call: 200 where there is a response of the system, 202
// while there is none, and a problem where there will be none.
func (h *Handler) result(w http.ResponseWriter, c *call.Call) {
	w.Header().Set("Location", location(c))
	switch {
	case c.Answer != nil:
		document(w, http.StatusOK, c)
	case c.Delivery.State == seawall.Canceled:
		ended(w, http.StatusGone, c, "the call was canceled "+c.Delivery.Reason)
	case c.Delivery.State.Final():
		ended(w, http.StatusBadGateway, c, "the call was given up: "+c.Delivery.Reason)
	default:
		document(w, http.StatusAccepted, c)
	}
}

// inFlight says that a call was posted before, and has no answer yet.
func (h *Handler) inFlight(w http.ResponseWriter, c *call.Call) {
	after, why := 1, "the first call under this key is still on its way"
	if c.Delivery.State == seawall.Held {
		after, why = 60, "nobody knows whether the first call under this key took effect: it is held for a person"
	}
	w.Header().Set("Location", location(c))
	w.Header().Set("Retry-After", strconv.Itoa(after))
	p := problem.New(http.StatusConflict, why)
	p.Call, p.Hint = c.ID(), "its address is in Location; GET it with Prefer: wait=10"
	w.Header().Set(callHeader, c.ID())
	p.Write(w)
}

func ended(w http.ResponseWriter, status int, c *call.Call, why string) {
	p := problem.New(status, why)
	p.Call = c.ID()
	w.Header().Set(callHeader, c.ID())
	p.Write(w)
}

func location(c *call.Call) string { return "/api/v1/calls/" + c.ID() }

func document(w http.ResponseWriter, status int, c *call.Call) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(callHeader, c.ID())
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(c.Document())
}

// get shows a call to whom it belongs; with Prefer: wait, once it is settled.
func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	c, _, err := h.own(r)
	if err == nil {
		c, err = h.awaited(w, r, c)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	document(w, http.StatusOK, c)
}

func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) {
	c, t, err := h.own(r)
	if err == nil {
		a := seawall.Action{At: h.Now(), By: t.Name, What: "cancel", On: c.Delivery.ID.String()}
		c, err = h.Calls.Cancel(r.Context(), c, "by "+t.Name, a)
	}
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	document(w, http.StatusOK, c)
}

// own is the call that the path names, if it is the caller's.
func (h *Handler) own(r *http.Request) (*call.Call, *seawall.Token, error) {
	t, err := h.admit(r, bearer(r.Header), "")
	if err != nil {
		return nil, nil, err
	}
	id, err := seawall.ParseCallID(r.PathValue("id"))
	if err != nil {
		return nil, nil, err
	}
	c, err := h.Calls.Get(r.Context(), id)
	if err != nil {
		return nil, nil, err
	}
	theirs := c.By == t.Name && access.Allows(t, access.Calls(c.System))
	if !theirs && !slices.Contains(t.Scopes, access.Admin) {
		return nil, nil, seawall.Errorf(seawall.ErrNotFound, "no call of yours is %s", id.Call())
	}
	return c, t, nil
}

// worded gives the errors of a post the statuses that the draft on idempotency
// keys has for them, and what a program wants to tell apart a type of its own.
func worded(err error) error {
	switch {
	case errors.Is(err, call.ErrKeyMissing):
		return badRequest(err)
	case errors.Is(err, call.ErrOther):
		p := problem.New(http.StatusUnprocessableEntity, err.Error())
		p.Type, p.Hint = "urn:seawall:problem:key-reused", seawall.Hint(err)
		return p
	}
	return err
}

func badRequest(err error) error {
	p := problem.New(http.StatusBadRequest, err.Error())
	p.Hint = seawall.Hint(err)
	return p
}
