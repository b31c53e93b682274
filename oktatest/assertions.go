// This file holds the assertions: what a test states of all that arrived.

package oktatest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	endpoints "github.com/oktaretry/oktaretry/internal/route"
)

// AssertNo429s reports an error to t for the requests that were answered 429, by
// a limit, a script or a day, and reports whether there were none.
func (o *Okta) AssertNo429s(t testing.TB) bool {
	t.Helper()
	n := o.Answered(http.StatusTooManyRequests)
	if n == 0 {
		return true
	}
	l := o.story()
	refused := slices.DeleteFunc(slices.Clone(l.all), func(r Request) bool { return r.Status != http.StatusTooManyRequests })
	t.Errorf("oktatest: %d requests were answered 429, want none%s", n, l.list(refused))
	return false
}

// AssertAllServed reports an error to t for each endpoint that was asked for and is
// not served (see Unserved), AllowUnserved or not, and reports whether there was
// none. NewServer does so by itself at the end of its test.
func (o *Okta) AssertAllServed(t testing.TB) bool {
	t.Helper()
	o.reportUnserved(t)
	return len(o.Unserved()) == 0
}

// AssertPeakConcurrency reports an error to t if more than most requests were in
// flight at a time: from when each had arrived until its answer was sent, as
// Request's Time and Done have it. It reports whether that was so. An answer
// takes no time in virtual time but the latency asked for.
func (o *Okta) AssertPeakConcurrency(t testing.TB, most int) bool {
	t.Helper()
	l := o.story()
	if !l.whole(t, "AssertPeakConcurrency") {
		return false
	}
	peak := l.peak()
	if len(peak) <= most {
		return true
	}
	t.Errorf("oktatest: %d requests were in flight at a time, want at most %d%s", len(peak), most, l.list(peak))
	return false
}

// AssertNothingBeforeReset reports an error to t for each request that was sent
// to a bucket while a 429 had it closed: after its answer, and before its Reset
// (see Request.Reset). It reports whether there was none.
//
// A bucket is closed by its own refusals and by those of scripts (RateLimited),
// for the credential that they were given to; not by 0/0, nor by the limits of a
// user, a client or a token, which close nothing to others. What arrives in the
// very instant of the answer counts as under way by then, unless it carries its
// request id (X-Okta-Retry-For): in virtual time give the fake a latency
// (WithLatency), so that a resend without a wait is seen as one.
func (o *Okta) AssertNothingBeforeReset(t testing.TB) bool {
	t.Helper()
	l := o.story()
	if !l.whole(t, "AssertNothingBeforeReset") {
		return false
	}
	ok := true
	closed := map[string][]Request{} // the refusals of each bucket and credential whose Reset is not over
	for _, r := range l.all {
		bucket := r.Bucket + "\n" + ByCredential(r)
		refusals := slices.DeleteFunc(closed[bucket], func(by Request) bool { return !r.Time.Before(by.Reset) })
		if i := slices.IndexFunc(refusals, func(by Request) bool { return r.comesAfter(by) }); i >= 0 {
			ok = false
			t.Errorf("oktatest: a request was sent %s before the reset of its bucket %q%s",
				refusals[i].Reset.Sub(r.Time).Round(time.Millisecond), r.Bucket, l.list([]Request{refusals[i], r}))
		}
		if !r.Reset.IsZero() && (r.RefusedBy == "" || r.RefusedBy == r.Bucket) {
			refusals = append(refusals, r)
		}
		closed[bucket] = refusals
	}
	return ok
}

// comesAfter reports whether a request was sent when another's answer was there.
func (r Request) comesAfter(other Request) bool {
	return !other.Done.IsZero() && r.Time.After(other.Done) || r.Header.Get("X-Okta-Retry-For") == other.RequestID
}

// AssertNoDuplicateCreates reports an error to t for each create that was sent
// again though it had been done, or though that could not be known, and reports
// whether there was none.
//
// A create is a POST to a collection: a user's (the same is the same login), a
// group's (the same name), or any other of Okta's (the same path and body; the
// order of the body's members does not matter). It was done where the fake
// accepted it, also if the answer was lost on its way. It could not be known where
// the answer was a 5xx or none came. To send it again is a duplicate, unless
//
//   - it was refused, with a 4xx or a 429: then nothing was done;
//   - it could not be known, and the caller looked before (a GET of the
//     collection, or of something in it);
//   - it was done and undone: something in the collection was deleted since,
//     and the second create was accepted.
func (o *Okta) AssertNoDuplicateCreates(t testing.TB) bool {
	t.Helper()
	l := o.story()
	if !l.whole(t, "AssertNoDuplicateCreates") {
		return false
	}
	ok := true
	last := map[string]int{} // of each create, where it was sent last and may have been done
	for i, r := range l.all {
		what := created(r)
		if what == "" {
			continue
		}
		if before, again := last[what]; again && l.duplicate(before, i) {
			ok = false
			t.Errorf("oktatest: the create of %s was sent again, though it %s%s",
				what, l.all[before].doneText(), l.list([]Request{l.all[before], r}))
		}
		if r.mayBeDone() {
			last[what] = i
		}
	}
	return ok
}

// story is what arrived, as it stands now.
type story struct {
	all     []Request // in the order of arrival
	arrived int       // that many, of which the journal has kept the last
}

func (o *Okta) story() story { return story{o.Requests(), o.Arrived()} }

// whole reports whether the journal has kept all requests: of others nothing can
// be said.
func (l story) whole(t testing.TB, assertion string) bool {
	t.Helper()
	if l.arrived > len(l.all) {
		t.Errorf("oktatest: %s needs all %d requests, and the journal has kept %d: see WithJournal", assertion, l.arrived, len(l.all))
		return false
	}
	return true
}

// listed is how many requests a failure shows.
const listed = 10

// list shows requests, a line for each.
func (l story) list(some []Request) string {
	var b strings.Builder
	for i, r := range some {
		if i == listed {
			fmt.Fprintf(&b, "\n\tand %d more", len(some)-listed)
			break
		}
		fmt.Fprintf(&b, "\n\t%s (+%s) %s %s", r.Time.Format("15:04:05.000"), r.Time.Sub(l.all[0].Time).Round(time.Millisecond), r.Method, r.Path)
		if r.RawQuery != "" {
			b.WriteString("?" + r.RawQuery)
		}
		b.WriteString(": " + r.fate())
	}
	return b.String()
}

// fate says what became of a request.
func (r Request) fate() string {
	text := fmt.Sprint(r.Status)
	switch {
	case r.Status == 0 && r.Done.IsZero():
		text = "in flight"
	case r.Status == 0:
		text = "no answer"
	}
	if r.RefusedBy != "" {
		text += ", refused by " + r.RefusedBy
	}
	return text + ", request id " + r.RequestID
}

// peak returns the requests that were in flight when most were.
func (l story) peak() (most []Request) {
	var flying []Request
	for _, r := range l.all {
		flying = slices.DeleteFunc(flying, func(o Request) bool { return !o.Done.IsZero() && !o.Done.After(r.Time) })
		flying = append(flying, r)
		if len(flying) > len(most) {
			most = slices.Clone(flying)
		}
	}
	return most
}

// accepted reports whether the fake did what a request asked for.
func (r Request) accepted() bool { return r.Status >= 200 && r.Status < 300 }

// mayBeDone reports whether the fake did it, as far as its caller can know.
func (r Request) mayBeDone() bool {
	return r.accepted() || r.Status >= 500 || r.Status == 0 && r.BodyErr == nil
}

// doneText says that of one that may be done.
func (r Request) doneText() string {
	if r.accepted() {
		return "had been done"
	}
	return "may have been done"
}

// duplicate reports whether a create was sent again in vain, or blindly.
func (l story) duplicate(before, again int) bool {
	first, second, between := l.all[before], l.all[again], l.all[before+1:again]
	collection := segments(first.Path)
	happened := func(method string, well func(Request) bool) bool {
		return slices.ContainsFunc(between, func(r Request) bool {
			return r.Method == method && well(r) && first.precedes(r) && isAtOrBelow(segments(r.Path), collection)
		})
	}
	if first.accepted() {
		return !second.accepted() || !happened(http.MethodDelete, Request.accepted)
	}
	return !happened(http.MethodGet, func(r Request) bool { return r.accepted() || r.Status == http.StatusNotFound })
}

// precedes reports whether a request was over when another arrived.
func (r Request) precedes(other Request) bool { return !r.Done.IsZero() && !other.Time.Before(r.Done) }

// isAtOrBelow reports whether a path is a collection's, or below it.
func isAtOrBelow(path, collection []string) bool {
	return len(path) >= len(collection) && slices.Equal(path[:len(collection)], collection)
}

// created says what a request would create, the same words for the same thing;
// nothing if it is no create.
func created(r Request) string {
	path := "/" + strings.Trim(r.Path, "/")
	if r.Method != http.MethodPost || !isCollection(path) {
		return ""
	}
	var body struct {
		Profile struct{ Login, Name string }
	}
	json.Unmarshal(r.Body, &body) // of another form it names nothing
	switch {
	case path == "/api/v1/users" && body.Profile.Login != "":
		return fmt.Sprintf("user %q", strings.ToLower(body.Profile.Login))
	case path == "/api/v1/groups" && body.Profile.Name != "":
		return fmt.Sprintf("group %q", body.Profile.Name)
	}
	return path + " " + canonical(r.Body)
}

// isCollection reports whether Okta has members of a path, each read by its id.
func isCollection(path string) bool {
	of, member := endpoints.Match(http.MethodPost, path), endpoints.Match(http.MethodGet, path+"/00x0000000000000000x")
	name, below := strings.CutPrefix(member.Template, of.Template+"/")
	return of.Known && member.Known && below && isVariable(name)
}

// canonical is a body in JSON with its members in order; any other as it is.
func canonical(body []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(body)
	}
	return encode(v)
}
