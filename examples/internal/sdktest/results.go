// This file holds what the callers of each SDK get.

package sdktest

import (
	"net/http"
	"strings"
)

// results are what the callers of each SDK get.
type results struct{ v6, v5, v2 result }

func (s situation) want(sdk string) result {
	switch {
	case s.gets != "":
		return result{got: s.gets}
	case sdk == "v2":
		return s.fails.v2
	case sdk == "v5":
		return s.fails.v5
	}
	return s.fails.v6
}

func (s situation) reaches(sdk string) bool {
	return s.only == "" || strings.Contains(s.only, sdk)
}

// flattened is an error of which SDKs v6 and v5 keep the text, and that SDK v2 wraps.
func flattened(finds, text string) results {
	flat := result{finds: openAPIError, text: text}
	return results{flat, flat, result{finds: finds, text: text}}
}

// broken is an answer whose body could not be read. SDKs v6 and v5 hand out the
// response all the same.
func broken(got, finds, text string) results {
	bare := result{got: got, finds: finds, text: text}
	if got != "" { // it was Response.Next, which does not
		return results{bare, bare, bare}
	}
	beside := bare
	beside.status = http.StatusOK
	return results{beside, beside, bare}
}

const (
	v2Error      = "*okta.Error"
	openAPIError = "*okta.GenericOpenAPIError" // v6's and v5's
)

// outageAnswer is Okta's 503 as the SDKs hand it out: an HTML page without a
// code.
var outageAnswer = results{
	v6: result{status: http.StatusServiceUnavailable, finds: openAPIError, text: "503 Service Unavailable"},
	v5: result{status: http.StatusServiceUnavailable, finds: openAPIError, text: "503 Service Unavailable"},
	v2: result{status: http.StatusServiceUnavailable, finds: v2Error, text: "the API returned an unknown error"},
}
