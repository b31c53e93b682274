// This file finds the outcome of a call whose error the SDK has flattened.

package oktav5

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry"
)

// Outcome returns the outcome that err, an error of the SDK's, comes from, among
// those of the recorder in the call's context; false if none fits. The SDK keeps only
// the text of an error of oktaretry's; the outcome's Err is the error itself:
//
//	ctx, recorder := oktaretry.WithRecorder(ctx)
//	user, _, err := client.UserAPI.GetUser(ctx, id).Execute()
//	var limited *oktaretry.RateLimitError
//	if out, ok := oktav5.Outcome(recorder, err); ok && errors.As(out.Err, &limited) { … }
//
// It holds err against each outcome, the last first: its chain, its text, or the
// answer that it carries. So it is right also where calls share a recorder, unless
// two of them failed in the same words, request id included. The outcome of a call
// with a response is also [oktaretry.OutcomeOf] the response, without a recorder.
// Outcome is safe for concurrent use.
func Outcome(recorder *oktaretry.Recorder, err error) (oktaretry.Outcome, bool) {
	if recorder == nil || err == nil {
		return oktaretry.Outcome{}, false
	}
	for _, o := range slices.Backward(recorder.Outcomes()) {
		if comesFrom(err, &o) {
			return o, true
		}
	}
	return oktaretry.Outcome{}, false
}

func comesFrom(err error, o *oktaretry.Outcome) bool {
	if o.Err != nil {
		return errors.Is(err, o.Err) || strings.HasSuffix(err.Error(), ": "+o.Err.Error())
	}
	var page *PageError
	if errors.As(err, &page) {
		return page.Outcome.Start.Equal(o.Start) && page.Outcome.RequestID == o.RequestID
	}
	var answer *okta.GenericOpenAPIError
	if !errors.As(err, &answer) {
		return false
	}
	if o.Error != nil && o.Error.ID != "" {
		return bytes.Contains(answer.Body(), []byte(o.Error.ID))
	}
	return strings.HasPrefix(answer.Error(), strconv.Itoa(o.Status)+" ")
}
