// This file finds in a request what limits count it by.

package oktatest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
)

func (r Request) query() url.Values {
	v, _ := url.ParseQuery(r.RawQuery) // what can be read of it
	return v
}

// field is a parameter of the body, in JSON or as a form, or of the query;
// empty if there is none.
func (r Request) field(name string) string {
	body := bytes.TrimSpace(r.Body)
	if bytes.HasPrefix(body, []byte("{")) {
		var object map[string]any
		json.Unmarshal(body, &object) // a body that is no object has no fields
		s, _ := object[name].(string)
		return s
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has(name) {
		return form.Get(name)
	}
	return r.query().Get(name)
}

// cookie is the value of a cookie; empty if there is none.
func (r Request) cookie(name string) string {
	c, err := (&http.Request{Header: r.Header}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// clientID is the OAuth client that the request names.
func (r Request) clientID() string {
	if id := r.field("client_id"); id != "" {
		return id
	}
	id, _, _ := (&http.Request{Header: r.Header}).BasicAuth()
	return id
}

// at makes a key one of the request's bucket; an empty one stays empty.
func (r Request) at(key string) string {
	if key == "" {
		return ""
	}
	return r.Bucket + " " + key
}
