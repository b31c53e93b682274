// This file looks up codes in the catalogue, and applies what a code's own text
// asks for on top of its class's rule.

package oktaretry

import (
	"iter"
	"slices"
	"strconv"
	"time"
)

// CodeInfo describes an error code.
type CodeInfo struct {
	Code string // "E0000047", or an OAuth error such as "server_error"
	// Status is the HTTP status that Okta documents today. Where it disagrees
	// with the code's text, the text determines the class: E0000150 is a rate
	// limit under 403. 0 where Okta documents none, and for OAuth errors, which have
	// several.
	Status int
	Name   string // Okta's name of the error, "Too many requests exception"
	Class  Class
	Rule   Rule // that DefaultPolicy has for it
	// Advice is what a person can do about it, in one line of this library's own;
	// "" where the name suffices.
	Advice string
	// Local marks a rate limit of one user, phone number or feature rather than
	// of the endpoint's bucket: the bucket's other calls proceed.
	Local bool
}

// Lookup returns the description of a code; false if the catalogue lacks it.
// Codes are case-sensitive, as Okta sends them. Lookup is safe for concurrent use
// and does not allocate.
func Lookup(code string) (CodeInfo, bool) {
	e, ok := lookup(code)
	if !ok {
		return CodeInfo{}, false
	}
	p := defaults()
	return e.describe(&p), true
}

// Codes returns every code of the catalogue: Okta's by number, then the OAuth
// errors by name. It is safe for concurrent use.
func Codes() iter.Seq[CodeInfo] {
	return func(yield func(CodeInfo) bool) {
		p := defaults()
		for _, table := range [][]entry{oktaCodes[:], oauthCodes[:]} {
			for i := range table {
				if !yield(table[i].describe(&p)) {
					return
				}
			}
		}
	}
}

// entry is one line of the catalogue. Entries never change.
type entry struct {
	code    string
	status  int
	name    string
	class   Class
	overlay overlay
	local   bool
	advice  string
}

func (e *entry) describe(p *Policy) CodeInfo {
	return CodeInfo{
		Code: e.code, Status: e.status, Name: e.name, Class: e.class,
		Rule:   p.RuleFor(Classification{Class: e.class, Code: e.code, Status: e.status}),
		Advice: e.advice, Local: e.local,
	}
}

// lookup returns a code's entry, which is shared and read-only. It does not
// allocate.
func lookup(code string) (*entry, bool) {
	if isOktaCode(code) {
		n := codeNumber(code)
		if n < len(oktaByNumber) && oktaByNumber[n] != nil {
			return oktaByNumber[n], true
		}
		return nil, false
	}
	e, ok := oauthByName[code]
	return e, ok
}

// classNamed returns the class of a name.
func classNamed(name string) (Class, bool) {
	for class := ClassRateLimited; class <= ClassNetwork; class++ {
		if class.String() == name {
			return class, true
		}
	}
	return 0, false
}

// isErrorStatus reports whether a status can have a rule of its own.
func isErrorStatus(status int) bool { return status >= 400 && status <= 599 }

// isStatus reports whether a key of Codes is a status.
func isStatus(key string) bool {
	n, err := strconv.Atoi(key)
	return err == nil && len(key) == 3 && isErrorStatus(n)
}

// answersOf returns the classification of the answers that a key of Codes stands for;
// false if it stands for none.
func answersOf(key string) (Classification, bool) {
	if e, ok := lookup(key); ok {
		return Classification{Class: e.class, Code: key, Status: e.status}, true
	}
	if isStatus(key) {
		status, _ := strconv.Atoi(key)
		return Classification{Class: classOf("", status), Status: status}, true
	}
	// Some names of classes have the form of OAuth errors.
	if (isOktaCode(key) || isOAuthCode(key)) && !slices.Contains(classNames[:], key) {
		return Classification{Class: ClassClientError, Code: key}, true
	}
	return Classification{}, false
}

// codeNumber returns the 47 of E0000047. The code must have the form of Okta's.
func codeNumber(code string) int {
	n := 0
	for i := 1; i < len(code); i++ {
		n = 10*n + int(code[i]-'0')
	}
	return n
}

// oktaByNumber is indexed by the number in the code; nil where there is none.
var oktaByNumber = func() []*entry {
	var byNumber []*entry
	for i := range oktaCodes {
		n := codeNumber(oktaCodes[i].code)
		for len(byNumber) <= n {
			byNumber = append(byNumber, nil)
		}
		byNumber[n] = &oktaCodes[i]
	}
	return byNumber
}()

var oauthByName = func() map[string]*entry {
	byName := make(map[string]*entry, len(oauthCodes))
	for i := range oauthCodes {
		byName[oauthCodes[i].code] = &oauthCodes[i]
	}
	return byName
}()

// overlay is what a code's own text, or a status without a code, asks for on top
// of its class's rule. The zero overlay asks for nothing.
type overlay struct {
	minWait   time.Duration // the least wait
	failFast  bool          // sending again cannot help
	anyMethod bool          // Okta refused it unprocessed: once retrying is switched on, it is for any method
	byStatus  bool          // an answer with the code has the class of its status; the entry's is that of the usual one
	narrow    bool          // it trips at most trips: less than its class, for less of the host has failed
	trips     Scope

	retry        bool // it passes by itself: sent again, though its class is not
	untilElapsed bool // it passes, and takes longer than the class's default of attempts
}

// extend returns a policy's rule for a class with more attempts where they help. A
// rule without waits, or with a number of attempts of the user's own, keeps it.
func (o overlay) extend(r Rule) Rule {
	if o.retry && r.Action == FailFast && r.InitialWait > 0 {
		r.Action = Backoff
	}
	if o.untilElapsed && r.MaxAttempts == defaultAttempts && r.MaxElapsed > 0 {
		r.MaxAttempts = 0
	}
	return r
}

// apply returns a class's rule with the overlay on top. The result waits longer,
// trips less, stops sooner or, with anyMethod, is for more methods; never the
// reverse.
func (o overlay) apply(r Rule) Rule {
	r.MinWait = max(r.MinWait, o.minWait)
	if o.failFast {
		r.Action = FailFast
	}
	if o.anyMethod {
		r.AnyMethod = true
	}
	if o.narrow {
		r.Trips = min(r.Trips, o.trips)
	}
	return r
}

// floor returns a user's rule for this very code, with the overlay's least wait
// where the rule has none. The rest of the rule is the user's.
func (o overlay) floor(r Rule) Rule {
	if r.MinWait == 0 {
		r.MinWait = o.minWait
	}
	return r
}

// statusOverlay returns the overlay of an answer without a code. 408 and 425 come
// from the edge, which gave up on the request or will take it in a moment. 502, 503 and
// 504 keep the class's scope: Okta's edge sends them when it cannot reach the org, which
// it shows by doing so at several endpoints. Any other 5xx comes from one endpoint, and
// 501 is final: it is not implemented.
func statusOverlay(status int) overlay {
	switch {
	case status == 408, status == 425:
		return passes
	case status == 501:
		return neverRetry
	case status == 502, status == 503, status == 504:
		return classRule
	case status >= 500:
		return endpointOnly
	}
	return classRule
}
