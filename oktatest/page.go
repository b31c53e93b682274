// This file cuts lists into pages.

package oktatest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// numbered is an entry of a list. Numbers and ids grow along the list and stay with
// their entries, so that a page boundary survives what is added and removed.
type numbered interface {
	number() uint64
	identity() string
}

// listing is a list and how it is cut into pages. The zero values of keep and find stand
// for a whole list that is in order of its ids.
type listing[T numbered] struct {
	list    []T
	keep    func(T) bool                           // nil: all
	find    func(after string) (next int, ok bool) // where the list goes on after a cursor
	limit   int                                    // entries of a page if the request names no number
	most    int                                    // entries of any page
	unpaged bool                                   // no links: what the limit leaves out cannot be had
	render  func(T) any
}

// page replies with the part of a list that limit and after ask for, and with
// the two Link headers, each a value of its own: self, and next if more
// follows. The cursor is the last entry's id. The list must be in order of its ids.
func page[T numbered](c *call, list []T, defaultLimit, maxLimit int, render func(T) any) *reply {
	return listing[T]{list: list, limit: defaultLimit, most: maxLimit, render: render}.page(c)
}

func (l listing[T]) page(c *call) *reply {
	q := c.r.URL.Query()
	limit := l.limit
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return c.fail("E0000029", "limit: must be a positive number")
		}
		limit = min(n, l.most)
	}
	from := 0
	if after := q.Get("after"); after != "" && !l.unpaged {
		find := l.find
		if find == nil {
			find = l.afterID
		}
		var ok bool
		if from, ok = find(after); !ok {
			return c.fail("E0000029", "after: not a cursor")
		}
	}
	all, last, more := l.take(from, limit)
	r := c.json(http.StatusOK, all)
	if !l.unpaged {
		r.header.Add("Link", "<"+c.selfLink(limit)+`>; rel="self"`)
	}
	if more && !l.unpaged {
		q.Set("after", last)
		q.Set("limit", strconv.Itoa(limit))
		r.header.Add("Link", "<"+c.base()+c.r.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
	}
	return r
}

// take renders up to limit entries, and reports the last one's id and whether more follow.
func (l listing[T]) take(from, limit int) (all []any, last string, more bool) {
	all = []any{}
	for _, x := range l.list[from:] {
		if l.keep != nil && !l.keep(x) {
			continue
		}
		if len(all) == limit {
			return all, last, true
		}
		all, last = append(all, l.render(x)), x.identity()
	}
	return all, last, false
}

// afterID is where a list in order of its ids goes on after one of them.
func (l listing[T]) afterID(id string) (next int, ok bool) {
	for i := range len(id) {
		if strings.IndexByte(base62, id[i]) < 0 {
			return 0, false
		}
	}
	next, found := slices.BinarySearchFunc(l.list, id, func(x T, id string) int { return strings.Compare(x.identity(), id) })
	if found {
		next++
	}
	return next, true
}

// selfLink is the URL of a page: the request's own, with the limit that held.
func (c *call) selfLink(limit int) string {
	u, n := *c.r.URL, strconv.Itoa(limit)
	q := u.Query()
	switch q.Get("limit") {
	case n:
	case "":
		u.RawQuery = strings.TrimSuffix("limit="+n+"&"+u.RawQuery, "&")
	default:
		q.Set("limit", n)
		u.RawQuery = q.Encode()
	}
	return c.base() + u.RequestURI()
}
