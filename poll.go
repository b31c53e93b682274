// This file holds pending answers: which answer is pending, and where its result
// is polled.

package oktaretry

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// codeFactorTimeout is a 504 of the factor service. During a poll it is the end of
// the challenge, not an outage.
const codeFactorTimeout = "E0000067"

// factorWaiting reports whether a factor's answer is WAITING for its user and has a
// link to poll, for Policy.PollFactors.
func factorWaiting(ctx context.Context, resp *http.Response) bool {
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated || !isJSON(resp.Header) {
		return false
	}
	result, poll := wire.ParseFactor(peekText(ctx, resp))
	return result == "WAITING" && poll != ""
}

// redirects reports whether a poll's answer is a redirect. http.Client would follow
// one of 307 or 308 by posting the challenge again, to another host also.
func redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// pollTarget returns where to poll for the result of a pending answer to a request
// for from: its Location, else its _links.poll. A link to another host or scheme is
// ignored, so that it gets neither a request nor a credential; nil if none is left.
func pollTarget(resp *http.Response, from *url.URL) *url.URL {
	_, link := wire.ParseFactor(peekText(context.Background(), resp)) // it was read
	for _, href := range []string{resp.Header.Get("Location"), link} {
		if href == "" {
			continue
		}
		link, err := url.Parse(href)
		if err != nil || link.User != nil {
			continue
		}
		u := from.ResolveReference(link)
		if u.Scheme != from.Scheme || !sameHost(u, from) {
			continue
		}
		u.User, u.Fragment, u.RawFragment = from.User, "", ""
		return u
	}
	return nil
}

// sameHost reports whether two URLs of one scheme have the same host and port.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && route.Port(a) == route.Port(b)
}

// pollHeader returns the headers of a poll: those of the call, without those about
// its body, its preconditions or its identity.
func pollHeader(h http.Header) http.Header {
	p := make(http.Header, len(h))
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "Content-"), strings.HasPrefix(name, "If-"):
		case name == "Idempotency-Key", name == "X-Idempotency-Key", name == "Expect", name == "Range",
			name == "Trailer", name == "Transfer-Encoding", name == "Te":
		default:
			p[name] = values
		}
	}
	return p
}
