// This file holds pending answers: whether one is pending, and where to ask
// for its result.

package oktaretry

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// codeFactorTimeout is a 504 of the factor service. Once a challenge is being
// polled it is the challenge's end, not an outage.
const codeFactorTimeout = "E0000067"

// factorWaiting reports whether a factor's answer says that its user has not
// answered yet and that there is a place to ask. It is for Policy.PollFactors.
func factorWaiting(resp *http.Response) bool {
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated || !isJSON(resp.Header) {
		return false
	}
	result, poll := wire.ParseFactor(peekText(resp))
	return result == "WAITING" && poll != ""
}

// pollTarget returns where to ask for the result of a pending answer to a
// request for from: its Location, else its _links.poll. A place on another host
// or scheme gets neither a request nor a credential; nil when there is no other.
func pollTarget(resp *http.Response, from *url.URL) *url.URL {
	_, link := wire.ParseFactor(peekText(resp))
	for _, href := range []string{resp.Header.Get("Location"), link} {
		if href == "" {
			continue
		}
		u, err := from.Parse(href)
		if err != nil || u.Scheme != from.Scheme || !sameHost(u, from) || u.User != nil {
			continue
		}
		u.Fragment, u.RawFragment = "", ""
		return u
	}
	return nil
}

// sameHost reports whether two URLs of one scheme lead to the same host and
// port.
func sameHost(a, b *url.URL) bool {
	return strings.EqualFold(a.Hostname(), b.Hostname()) && route.Port(a) == route.Port(b)
}

// pollHeader returns the headers of a poll: those of the call without what
// speaks of its body, its preconditions or its identity.
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
