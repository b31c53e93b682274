// This file decodes JSON that may be cut off, malformed or hostile. encoding/json
// reads all of it; what is here only finds the part that it can read.

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxMembers bounds the members of a malformed body that are read. Okta's bodies
// have about ten. Finding the end of one takes up to a microsecond, and 64 KiB
// hold 13,000.
const maxMembers = 1000

// decode returns what json.Unmarshal makes of body behind its byte order mark, if
// it has one. A member whose type V does not expect leaves its field alone, and no
// other.
//
// Of a body that json.Unmarshal refuses, because it is cut off or turns into
// something else, the members that are complete before that point are decoded, at
// most 1000.
func decode[V any](body []byte) (v V) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	err := json.Unmarshal(body, &v) // decodes nothing of malformed JSON
	if _, malformed := errors.AsType[*json.SyntaxError](err); malformed {
		_ = json.Unmarshal(wholeMembers(body), &v)
	}
	return v
}

// wholeMembers returns the object that body begins with, closed behind the last
// member that is complete, or nil if body begins with something else.
func wholeMembers(body []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(body))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	end := dec.InputOffset()
	var value json.RawMessage
	for n := 0; n < maxMembers && dec.More(); n++ {
		if _, err := dec.Token(); err != nil { // the name
			break
		}
		if err := dec.Decode(&value); err != nil {
			break
		}
		end = dec.InputOffset()
	}
	return append(body[:end:end], '}') // in a copy: body is the caller's
}
