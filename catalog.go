// This file looks codes up in the catalogue: what Okta's table says of each,
// and where its text asks for something other than its class's rule.

package oktaretry

import (
	"iter"
	"time"
)

// CodeInfo is what is known of one error code.
type CodeInfo struct {
	Code string // "E0000047", or an OAuth error such as "server_error"
	// Status is the HTTP status that Okta documents today. The class goes by
	// the code's text where the two disagree: E0000150 is a rate limit under
	// 403. 0 for OAuth errors, which come with several.
	Status int
	Name   string // Okta's name of the error, "Too many requests exception"
	Class  Class
	Rule   Rule // what DefaultPolicy does with it
	// Advice is what a person can do about it, in one line and in this
	// library's words; "" where there is nothing to say beyond the name.
	Advice string
	// Local marks a rate limit that speaks of one user, phone number or
	// feature, not of the endpoint's rate-limit bucket: the bucket's other
	// calls go on.
	Local bool
}

// Lookup returns what is known of a code. Codes are case-sensitive, as Okta
// sends them. It is safe for concurrent use and does not allocate.
func Lookup(code string) (CodeInfo, bool) {
	e, ok := lookup(code)
	if !ok {
		return CodeInfo{}, false
	}
	p := DefaultPolicy()
	return e.describe(&p), true
}

// Codes returns every code of the catalogue: Okta's by number, then the OAuth
// errors by name. It is safe for concurrent use.
func Codes() iter.Seq[CodeInfo] {
	return func(yield func(CodeInfo) bool) {
		p := DefaultPolicy()
		for _, table := range [][]entry{oktaCodes[:], oauthCodes[:]} {
			for i := range table {
				if !yield(table[i].describe(&p)) {
					return
				}
			}
		}
	}
}

// entry is one line of the catalogue. Entries are never written to.
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

// lookup finds a code without allocating. The entry is shared and read-only.
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

// codeNumber is the 47 of E0000047. The code has the form of Okta's.
func codeNumber(code string) int {
	n := 0
	for i := 1; i < len(code); i++ {
		n = 10*n + int(code[i]-'0')
	}
	return n
}

// oktaByNumber is indexed by the number in the code, nil where Okta has none.
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

// overlay is where a code's own text, or a bare status, asks for something
// other than its class's rule. The zero overlay asks for nothing.
type overlay struct {
	minWait   time.Duration // wait at least this long
	failFast  bool          // sending again cannot help
	anyMethod bool          // Okta refused it unprocessed: any method may be sent again by whoever switches retrying on
	narrow    bool          // the answer says less about the host than its class assumes: it trips no more than trips
	trips     Scope
}

// apply puts the overlay on top of a class's rule. It only ever makes a rule
// wait longer, trip less, stop sooner or, with anyMethod, reach more methods.
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

// floor fills in the least wait of a rule that a user wrote for this very code
// and that names none; the rest of such a rule stands as it is.
func (o overlay) floor(r Rule) Rule {
	if r.MinWait == 0 {
		r.MinWait = o.minWait
	}
	return r
}

// statusOverlay is the overlay of a server error that came without a code.
// 502, 503 and 504 are what Okta's edge says when it doesn't reach the org:
// they keep the class's scope. Any other 5xx is the word of one endpoint, and
// 501 says for good that there is none.
func statusOverlay(status int) overlay {
	switch {
	case status == 501:
		return noUse
	case status == 502, status == 503, status == 504:
		return asClass
	case status >= 500:
		return endpointOnly
	}
	return asClass
}
