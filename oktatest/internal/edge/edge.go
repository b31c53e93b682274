// Package edge does to an answer what Okta's servers and the nginx in front of them do:
// the usual headers, cookies, gzip. As recorded of orgs of today (2025).
package edge

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
)

var usual = map[string][]string{
	"Accept-Ch":                 {"Sec-CH-UA-Platform-Version"},
	"Cache-Control":             {"no-cache, no-store"},
	"Content-Security-Policy":   {"frame-ancestors 'self'"},
	"Expires":                   {"0"},
	"P3p":                       {`CP="HONK"`},
	"Pragma":                    {"no-cache"},
	"Referrer-Policy":           {"strict-origin-when-cross-origin"},
	"Server":                    {"nginx"},
	"Strict-Transport-Security": {"max-age=315360000; includeSubDomains"},
	"X-Xss-Protection":          {"0"},
}

var cookies = []string{
	`sid="";Version=1;Path=/;Max-Age=0`,
	`xids="";Version=1;Path=/;Max-Age=0`,
	`autolaunch_triggered=""; Expires=Thu, 01 Jan 1970 00:00:10 GMT; Path=/`,
	`activate_ca_modal_triggered=""; Expires=Thu, 01 Jan 1970 00:00:10 GMT; Path=/`,
}

// Usual sets the headers of every answer of Okta's, with the cookie of a session of that
// id, which is new in each. A user's session (signedIn) it leaves to the client.
func Usual(h http.Header, session []byte, signedIn bool) {
	for key, values := range usual {
		h[key] = append([]string(nil), values...)
	}
	cleared := cookies
	if signedIn {
		cleared = cookies[1:]
	}
	h["Set-Cookie"] = append(cleared[:len(cleared):len(cleared)],
		"JSESSIONID="+strings.ToUpper(hex.EncodeToString(session))+"; Path=/; Secure; HttpOnly")
}

// Complete sets what depends on whether the answer has a body, and is not there yet.
func Complete(h http.Header, body bool) {
	missing := map[string]string{"X-Frame-Options": "SAMEORIGIN"}
	if body {
		missing = map[string]string{"Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
	}
	for key, value := range missing {
		if _, there := h[key]; !there {
			h[key] = []string{value}
		}
	}
}

// AcceptsGzip reports whether a request's Accept-Encoding allows gzip.
func AcceptsGzip(h http.Header) bool {
	for _, coding := range strings.Split(strings.Join(h["Accept-Encoding"], ","), ",") {
		name, quality, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			quality = strings.ReplaceAll(quality, " ", "")
			return strings.Trim(strings.TrimPrefix(quality, "q="), "0.") != "" || quality == ""
		}
	}
	return false
}

var writers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
	return w
}}

// Gzip compresses a body.
func Gzip(body []byte) []byte {
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	w.Write(body) // into memory: cannot fail
	w.Close()
	return b.Bytes()
}
