// This file answers what arrived, and what is to be found in it.

package control

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oktaretry/oktaretry/oktatest"
)

// arrived is one request of the journal.
type arrived struct {
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Query     string      `json:"query"`
	Host      string      `json:"host"`
	Headers   http.Header `json:"headers"`
	Body      string      `json:"body"`
	BodySize  int64       `json:"bodySize"`
	Time      time.Time   `json:"time"`
	Unix      float64     `json:"unix"` // the same, in seconds
	Bucket    string      `json:"bucket"`
	RefusedBy string      `json:"refusedBy"`
	Status    int         `json:"status"` // 0: none given, or not yet
	RequestID string      `json:"requestId"`
}

func journal(r *request) (any, error) {
	wanted, err := filterOf(r.URL.Query())
	if err != nil {
		return nil, err
	}
	all := []arrived{}
	var found []oktatest.Request
	if says := refusal(func() { found = r.s.RequestsTo(wanted.pattern) }); says != "" {
		return nil, problems{{Path: "pattern", Problem: says}}
	}
	for _, q := range found {
		if wanted.status != 0 && q.Status != wanted.status {
			continue
		}
		text := string(q.Body)
		if !utf8.ValidString(text) {
			text = strings.ToValidUTF8(text, "\ufffd")
		}
		all = append(all, arrived{q.Method, q.Path, q.RawQuery, q.Host, q.Header, text, q.BodySize, q.Time.UTC(), float64(q.Time.UnixMicro()) / 1e6, q.Bucket, q.RefusedBy, q.Status, q.RequestID})
	}
	if wanted.last > 0 && len(all) > wanted.last {
		all = all[len(all)-wanted.last:]
	}
	return map[string]any{"arrived": r.s.Arrived(), "requests": all}, nil
}

// filter is what of the journal is asked for.
type filter struct {
	pattern      string
	status, last int
}

func filterOf(q url.Values) (f filter, err error) {
	for name, values := range q {
		switch name {
		case "pattern":
			f.pattern = values[0]
		case "status":
			f.status, err = strconv.Atoi(values[0])
		case "last":
			f.last, err = strconv.Atoi(values[0])
		default:
			return f, problems{{Path: name, Problem: "is unknown, want pattern, status or last"}}
		}
		if err != nil {
			return f, problems{{Path: name, Problem: "is no whole number"}}
		}
	}
	if f.last < 0 {
		return f, problems{{Path: "last", Problem: "is below 0"}}
	}
	return f, nil
}

func forget(r *request) (any, error) {
	r.s.Forget()
	return done{}, nil
}

func unserved(r *request) (any, error) {
	type endpoint struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		Count  int    `json:"count"`
	}
	all := []endpoint{}
	for _, u := range r.s.Unserved() {
		all = append(all, endpoint(u))
	}
	return map[string]any{"unserved": all}, nil
}

// assertions answers what the fake's assertions report: an assertion that holds has an
// empty list.
func assertions(r *request) (any, error) {
	all := map[string][]string{
		"no429s":             reported(r.s.AssertNo429s),
		"nothingBeforeReset": reported(r.s.AssertNothingBeforeReset),
		"noDuplicateCreates": reported(r.s.AssertNoDuplicateCreates),
	}
	if text := r.URL.Query().Get("peak"); text != "" {
		most, err := strconv.Atoi(text)
		if err != nil {
			return nil, problems{{Path: "peak", Problem: "is no whole number"}}
		}
		all["peakConcurrency"] = reported(func(t testing.TB) bool { return r.s.AssertPeakConcurrency(t, most) })
	}
	return all, nil
}

// reported returns what an assertion reports.
func reported(assertion func(testing.TB) bool) []string {
	w := &witness{said: []string{}}
	assertion(w)
	return w.said
}

// witness keeps what is reported to it. Assertions call no other methods of a TB.
type witness struct {
	testing.TB
	said []string
}

func (*witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, strings.TrimPrefix(fmt.Sprintf(format, args...), "oktatest: "))
}
