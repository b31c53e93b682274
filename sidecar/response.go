// This file makes Okta's answers point back at the sidecar.

package sidecar

import (
	"mime"
	"net/http"
	"strings"
)

func (s *Sidecar) modifyResponse(resp *http.Response) error {
	c := callOf(resp.Request.Context())
	h := resp.Header
	if s.draining.Load() {
		h.Set("Connection", "close")
	}
	for i, v := range h["Link"] {
		h["Link"][i] = c.links.Header(v)
	}
	for _, name := range [...]string{"Location", "Content-Location"} {
		if v := h.Get(name); v != "" {
			h.Set(name, c.links.URL(v))
		}
	}
	// These speak for Okta's own host.
	delete(h, "Strict-Transport-Security")
	delete(h, "Alt-Svc")
	if rewritable(resp) {
		rewriteBody(c, resp)
	}
	return nil
}

// rewritable reports whether a body is JSON as it stands. What somebody has compressed, a
// part of a document, and what has another media type pass as they are.
func rewritable(resp *http.Response) bool {
	h := resp.Header
	if resp.ContentLength == 0 && resp.Request.Method != http.MethodHead || h.Get("Content-Encoding") != "" ||
		resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent {
		return false
	}
	kind := h.Get("Content-Type")
	if kind == "application/json" {
		return true
	}
	kind, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return false
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return false
	}
	return kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}

// rewriteBody replaces the body. An ETag stays: what is at the sidecar's URL is as much
// determined by it as what is at Okta's, and a client hands it back as If-Match.
func rewriteBody(c *call, resp *http.Response) {
	h := resp.Header
	if !c.links.KeepsLength() {
		// The field stays, by which ReverseProxy knows that it need not flush each part.
		delete(h, "Content-Length")
	}
	for _, digest := range [...]string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		delete(h, digest)
	}
	if resp.Request.Method != http.MethodHead {
		resp.Body = c.links.Body(resp.Body)
	}
}
