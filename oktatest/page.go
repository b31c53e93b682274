// This file cuts lists into pages.

package oktatest

import (
	"net/http"
	"slices"
	"strconv"
)

// numbered is an entry of a list. Numbers grow along the list and stay with
// their entries, so that a page boundary survives what is added and removed.
type numbered interface{ number() uint64 }

// page replies with the part of a list that limit and after ask for, and with
// the two Link headers, each a value of its own: self, and next if more
// follows. The list must be in order of its numbers.
func page[T numbered](c *call, list []T, defaultLimit, maxLimit int, render func(T) any) *reply {
	q := c.r.URL.Query()
	limit := defaultLimit
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return c.fail("E0000029", "limit: must be a positive number")
		}
		limit = min(n, maxLimit)
	}
	if s := q.Get("after"); s != "" {
		n, err := strconv.ParseUint(s, 36, 64)
		if err != nil {
			return c.fail("E0000029", "after: not a cursor")
		}
		at, found := slices.BinarySearchFunc(list, n, byNumber[T])
		if found {
			at++
		}
		list = list[at:]
	}
	more := len(list) > limit
	if more {
		list = list[:limit]
	}
	all := make([]any, 0, len(list))
	for _, x := range list {
		all = append(all, render(x))
	}
	r := c.json(http.StatusOK, all)
	r.header.Add("Link", "<"+c.base()+c.r.URL.RequestURI()+`>; rel="self"`)
	if more {
		q.Set("after", strconv.FormatUint(list[limit-1].number(), 36))
		q.Set("limit", strconv.Itoa(limit))
		r.header.Add("Link", "<"+c.base()+c.r.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
	}
	return r
}
