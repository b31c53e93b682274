// This file reads lists to their end.

package oktav5

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"

	"github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry"
)

// List is a request of the SDK's for a list, such as
// client.UserAPI.ListUsers(ctx).Limit(200).
type List[T any] interface {
	Execute() ([]T, *okta.APIResponse, error)
}

// Pages sends the request first and returns the pages of its list, one after the
// other and each when the loop comes to it. The first goes with the context of
// first, the others go with ctx.
//
// An error ends the pages, and is the last value beside a nil page: a loop that sees
// none has seen the whole list. An answer of Okta's that the SDK takes for an empty
// last page, such as the 401 without a body of a token that has expired, is a
// [*PageError]. An error of oktaretry's is found by [errors.As] from the second page
// on; of the first, by [Outcome].
//
// The client must be [NewClient]'s.
func Pages[T any](ctx context.Context, first List[T]) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		page, resp, err := first.Execute()
		for err == nil {
			if !yield(page, nil) || !resp.HasNextPage() {
				return
			}
			page, resp, err = next[T](ctx, resp)
		}
		yield(nil, err)
	}
}

// next sends the request for the page after resp.
func next[T any](ctx context.Context, resp *okta.APIResponse) ([]T, *okta.APIResponse, error) {
	c := callOf(resp.Response)
	if c == nil {
		return nil, nil, errors.New("oktav5: Pages: the client is not one of NewClient's")
	}
	c.ctx = ctx
	var page []T // a new one: the SDK decodes into what is there
	resp, err := resp.Next(&page)
	switch {
	case resp == nil || resp.Response == nil:
		return nil, nil, err
	case resp.StatusCode >= http.StatusMultipleChoices, err == nil && page == nil:
		return nil, nil, pageError(resp.Response, err)
	case err != nil && ctx.Err() != nil: // the SDK drops the error of reading the body
		return nil, nil, fmt.Errorf("oktav5: %w: %w", context.Cause(ctx), err)
	}
	return page, resp, err
}

// PageError is the error of a page that Okta answered without its list: by an error,
// or by no body at all. The SDK makes of it an error of decoding, or none.
type PageError struct {
	Outcome oktaretry.Outcome // how the page's call went
	Err     error             // the SDK's; may be nil
}

func pageError(resp *http.Response, err error) *PageError {
	outcome, ok := oktaretry.OutcomeOf(resp)
	if !ok {
		outcome.Classification = oktaretry.Classify(resp)
	}
	return &PageError{outcome, err}
}

func (e *PageError) Error() string {
	text := fmt.Sprintf("oktav5: no list in the answer %d", e.Outcome.Status)
	if e.Outcome.Code != "" {
		text += " " + e.Outcome.Code
	}
	if e.Outcome.Template != "" {
		text += fmt.Sprintf(" for %s %s%s", e.Outcome.Method, e.Outcome.Host, e.Outcome.Template)
	}
	if e.Outcome.RequestID != "" {
		text += " (request id " + e.Outcome.RequestID + ")"
	}
	return text
}

// Unwrap returns the SDK's error.
func (e *PageError) Unwrap() error { return e.Err }
