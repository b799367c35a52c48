package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// direct is what one writes first: a handler that does it all by itself, in the order
// in which the events come. It looks before it creates, and answers 500 where
// something went wrong, so that the provider sends the event again.
type direct struct {
	crm, list string
	client    http.Client
}

func newDirect(base string) *direct {
	return &direct{crm: base + "/direct/crm", list: base + "/direct/list", client: http.Client{Timeout: 500 * time.Millisecond}}
}

func (d *direct) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event
	if json.NewDecoder(r.Body).Decode(&e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if d.contact(e.User) != nil || d.member(e.User) != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (d *direct) contact(u userForm) error {
	var found struct{ Results []struct{ ID string } }
	if _, err := d.ask(http.MethodGet, d.crm+"/contacts?email="+url.QueryEscape(u.Email), nil, &found); err != nil {
		return err
	}
	body := map[string]any{"email": u.Email, "name": u.Name, "user_id": u.ID}
	if len(found.Results) > 0 {
		_, err := d.ask(http.MethodPatch, d.crm+"/contacts/"+found.Results[0].ID, body, nil)
		return err
	}
	_, err := d.ask(http.MethodPost, d.crm+"/contacts", body, nil)
	return err
}

func (d *direct) member(u userForm) error {
	var found struct{ Member string }
	body := map[string]any{"email": u.Email, "name": u.Name}
	status, err := d.ask(http.MethodGet, d.list+"/members/"+url.PathEscape(u.Email), nil, &found)
	switch {
	case err != nil && status != http.StatusNotFound:
		return err
	case found.Member != "":
		_, err = d.ask(http.MethodPut, d.list+"/members/"+found.Member, body, nil)
	default:
		_, err = d.ask(http.MethodPost, d.list+"/members", body, nil)
	}
	return err
}

func (d *direct) ask(method, at string, body, out any) (int, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, at, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(out)
}
