// This file reads lists to their end.

package oktav2

import (
	"context"
	"errors"
	"iter"

	"github.com/okta/okta-sdk-golang/v2/okta"
)

// Pages calls first and returns the pages of its list, one after the other and each
// when the loop comes to it. All of them go with ctx:
//
//	pages := oktav2.Pages(ctx, func(ctx context.Context) ([]*okta.User, *okta.Response, error) {
//		return client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(200)))
//	})
//	for users, err := range pages { … }
//
// An error ends the pages, and is the last value beside a nil page: a loop that sees
// none has seen the whole list. An answer without a body, which the SDK takes for an
// empty page, is an error.
func Pages[T any](ctx context.Context, first func(context.Context) ([]T, *okta.Response, error)) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		page, resp, err := first(ctx)
		for err == nil {
			if !yield(page, nil) || !resp.HasNextPage() {
				return
			}
			page = nil // a new one: the SDK decodes into what is there
			resp, err = resp.Next(ctx, &page)
			if err == nil && page == nil {
				err = errors.New("oktav2: no list in the answer " + resp.Status)
			}
		}
		yield(nil, err)
	}
}
