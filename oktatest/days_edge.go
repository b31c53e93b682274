// This file holds the bad days of the way to Okta: its edge, the connection, time.

package oktatest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// everything is what a day means that means every request.
var everything = []pattern{mustPattern("*")}

// atTheEdge makes a day whose effect keeps no state.
func atTheEdge(meet func(c *call, next func(*call) *reply) *reply) func(Day, *rand.Rand) effect {
	return func(Day, *rand.Rand) effect { return effect{atEdge, meet} }
}

// DayOf is a day of one's own: each request that it meets is answered by the next
// of the steps, in a circle. Pass, also within another step, answers by the days
// after it, the limits and the API. It means every request. DayOf panics if a
// step makes no sense, is Times or Always, or there is none.
//
//	oktatest.DayOf("brownout", oktatest.Code("E0000009"), oktatest.EdgePage(504)).Every(3)
func DayOf(name string, steps ...Step) Day {
	require(len(steps) > 0, "DayOf(%q): no step", name)
	for i, step := range steps {
		err := wrapped{step: step}.check()
		require(err == nil, "DayOf(%q): step %d: %v", name, i+1, err)
	}
	steps = slices.Clone(steps)
	return Day{name: name, about: "a day of its own", patterns: everything, chance: 1,
		play: func(Day, *rand.Rand) effect {
			var met atomic.Uint64
			return effect{atEdge, func(c *call, next func(*call) *reply) *reply {
				c.next = next
				return steps[int((met.Add(1)-1)%uint64(len(steps)))].reply(c)
			}}
		}}
}

// EdgeOutage is an outage as its callers see most of them: the proxies in front
// of Okta answer 503 with a page of HTML, for that long (0: until it is ended).
// No request reaches Okta, nothing is done, and nothing is counted: there is no
// error code, no request id and no rate-limit header. The name is "edge-outage",
// with five minutes.
//
// Okta's incident reports call it elevated HTTP 5xx (https://status.okta.com); a
// 502, 503 or 504 without Okta's JSON is what clients report of it.
func EdgeOutage(lasts time.Duration) Day {
	page := EdgePage(http.StatusServiceUnavailable)
	d := Day{name: "edge-outage", about: "the edge answers all calls with a page of HTML, 503, for 5 minutes",
		patterns: everything, chance: 1,
		play: atTheEdge(func(c *call, _ func(*call) *reply) *reply { return page.reply(c) })}
	return d.For(lasts)
}

// GatewayNotFound answers 404 with a page of HTML, made by what stands before
// Okta and not by its API: the resource may well be there. A program that takes
// each 404 for "gone" deletes what it has of it, and makes it anew. Okta's own
// 404s have a code, E0000007 or E0000008. The name is "gateway-404".
//
// Reported of an org's host that was no longer served (okta/okta-sdk-java#509)
// and of a token call that missed its authorization server (grafana/grafana#12987).
func GatewayNotFound() Day {
	return Day{name: "gateway-404", about: "the gateway answers 404 by itself, in HTML, though what was asked for is there",
		patterns: everything, chance: 1,
		play: atTheEdge(func(c *call, _ func(*call) *reply) *reply {
			r := gatewayPage()
			r.header.Set("Date", httpDate(c.o.now()))
			return r
		})}
}

// SlowAnswers makes answers take d longer, half of it before the answer is
// decided and half after, beside the fake's latency. A caller who leaves is not
// waited for: what was asked for before it left may be done all the same. The
// name is "slow-answers", with 2 s.
//
// Okta's incident reports have whole cells that answer late for hours; single
// searches and lists of large groups take tens of seconds on good days.
func SlowAnswers(d time.Duration) Day {
	require(d >= 0, "SlowAnswers(%v): must not be negative", d)
	return Day{name: "slow-answers", about: "each answer takes 2 s longer",
		patterns: everything, chance: 1,
		play: atTheEdge(func(c *call, next func(*call) *reply) *reply {
			if !c.wait(d / 2) {
				return &reply{fault: faultGone}
			}
			r := next(c)
			c.wait(d - d/2)
			return r
		})}
}

// BrokenBodies resets connections in the middle of an answer's body, by default
// with a chance of one in three. The status said 200 and the work is done; the
// reader of the body gets ECONNRESET. An answer without a body stays whole. The
// name is "broken-bodies".
//
// Nothing of this is Okta's own: proxies, NAT gateways and VPNs that restart or
// run out of connections do it.
func BrokenBodies() Day {
	return Day{name: "broken-bodies", about: "connections are reset in the middle of the body of one in three answers",
		patterns: everything, chance: 1.0 / 3,
		play: atTheEdge(func(c *call, next func(*call) *reply) *reply {
			r := next(c)
			r.breakBody(faultCutReset)
			return r
		})}
}

// ClockSkew sets the clocks that make Okta's headers ahead by d, or behind if
// d is negative: Date and X-Rate-Limit-Reset are shifted together, as if the
// caller's clock were wrong by as much. Unlike WithClockSkew it can come and go;
// times in bodies stay right. The name is "clock-skew", with 5 minutes.
//
// Reset is a time and not a duration, so a client that compares it with its own
// clock waits by d too long or too short (okta-sdk-golang takes Date for that).
func ClockSkew(d time.Duration) Day {
	return Day{name: "clock-skew", about: "the clock behind Okta's headers is 5 minutes ahead",
		patterns: everything, chance: 1,
		play: atTheEdge(func(c *call, next func(*call) *reply) *reply {
			r := next(c)
			shiftClock(r.header, d)
			return r
		})}
}

func shiftClock(h http.Header, d time.Duration) {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		h.Set("Date", httpDate(t.Add(d)))
	}
	for i, v := range h["X-Rate-Limit-Reset"] {
		if s, err := strconv.ParseInt(v, 10, 64); err == nil {
			h["X-Rate-Limit-Reset"][i] = strconv.FormatInt(s+int64(d/time.Second), 10)
		}
	}
}

// DoubledResets sends X-Rate-Limit-Reset twice in each answer that has it, first
// one that lies a minute late and then the right one. The name is "doubled-resets".
//
// Okta has been seen to do so; its SDKs for Java and Python take the smallest of
// the valid ones.
func DoubledResets() Day {
	return Day{name: "doubled-resets", about: "X-Rate-Limit-Reset comes twice, the first one a minute late",
		patterns: everything, chance: 1,
		play: atTheEdge(func(c *call, next func(*call) *reply) *reply {
			r := next(c)
			if s, err := strconv.ParseInt(r.header.Get("X-Rate-Limit-Reset"), 10, 64); err == nil {
				late := strconv.FormatInt(s+60, 10)
				r.header["X-Rate-Limit-Reset"] = append([]string{late}, r.header["X-Rate-Limit-Reset"]...)
			}
			return r
		})}
}
