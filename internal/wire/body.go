// Bodies: what an Okta or OAuth error says, and what the answer of a factor
// verification says, whether or not the whole of it arrived.

package wire

import (
	"iter"
)

// maxElements bounds how many elements of an array are looked at. Okta sends one
// cause for each field it refused and one link for each way to poll: a handful.
const maxElements = 32

// Error is what an error body says. The slices are views into that body, still in
// JSON's escaped form (see Unescape), and nil for members that are absent or not of
// the type that Okta documents; an empty string is not nil.
//
// Summary, Causes and Description can hold user input: logins, names, addresses.
type Error struct {
	Code    []byte // errorCode
	Summary []byte // errorSummary
	Link    []byte // errorLink
	ID      []byte // errorId
	Causes  []byte // errorCauses, the JSON array as it stands (see Causes)

	OAuth       []byte // error
	Description []byte // error_description
}

// ParseError reads the members of an error body, and reports whether it found any.
//
// It gives what encoding/json would give for the same keys, of doubled ones the last.
// Where encoding/json would refuse, because the body is cut off or turns into
// something else, it gives the members that were complete before that point.
func ParseError(body []byte) (Error, bool) {
	var e Error
	s := openBody(body)
	for {
		key, value, ok := s.member()
		if !ok {
			break
		}
		switch string(key) {
		case "errorCode":
			e.Code = text(value)
		case "errorSummary":
			e.Summary = text(value)
		case "errorLink":
			e.Link = text(value)
		case "errorId":
			e.ID = text(value)
		case "errorCauses":
			e.Causes = array(value)
		case "error":
			e.OAuth = text(value)
		case "error_description":
			e.Description = text(value)
		}
	}
	return e, e.Code != nil || e.Summary != nil || e.Link != nil || e.ID != nil ||
		e.Causes != nil || e.OAuth != nil || e.Description != nil
}

// Causes yields the errorSummary of each of the first 32 causes in Error.Causes, as
// a view as in Error. Causes without one are left out.
func Causes(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s := open(raw, '[')
		for range maxElements {
			cause, ok := s.element()
			if !ok {
				return
			}
			summary := text(lookup(cause, "errorSummary"))
			if summary != nil && !yield(summary) {
				return
			}
		}
	}
}

// ParseFactor reads the answer of a factor verification: its factorResult and the
// href of its _links.poll, which may be one link or an array of them: then the first
// with an href counts, if it is among the first 32. Both are views as in Error, nil when absent. It treats doubled
// keys and broken bodies as ParseError does; a _links that is cut off is absent.
//
// The href is whatever the body says: the caller must check where it points.
func ParseFactor(body []byte) (result, poll []byte) {
	var links []byte
	s := openBody(body)
	for {
		key, value, ok := s.member()
		if !ok {
			break
		}
		switch string(key) {
		case "factorResult":
			result = text(value)
		case "_links":
			links = value
		}
	}
	link := lookup(links, "poll")
	if array(link) == nil {
		return result, text(lookup(link, "href"))
	}
	s = open(link, '[')
	for range maxElements {
		link, ok := s.element()
		if !ok {
			break
		}
		if poll = text(lookup(link, "href")); poll != nil {
			break
		}
	}
	return result, poll
}

// openBody starts a scanner on the object that a body begins with, behind a byte
// order mark if there is one.
func openBody(body []byte) scanner {
	if len(body) >= 3 && string(body[:3]) == "\ufeff" {
		body = body[3:]
	}
	return open(body, '{')
}

// array returns a value that is an array, else nil.
func array(value []byte) []byte {
	if len(value) == 0 || value[0] != '[' {
		return nil
	}
	return value
}
