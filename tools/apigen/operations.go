// This file finds the operations.

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var methods = []string{"get", "post", "put", "patch", "delete"}

// add takes the operations of a description into the table.
func (b *builder) add(doc *document) error {
	b.doc, b.named = doc, map[string]int{}
	for _, path := range doc.Paths {
		for _, method := range methods {
			node, ok := path.value[method]
			if !ok {
				continue
			}
			var op operation
			if err := node.Decode(&op); err != nil {
				return fmt.Errorf("%s %s: %w", method, path.key, err)
			}
			o, err := b.operated(&op)
			if err != nil {
				return fmt.Errorf("%s %s: %w", method, path.key, err)
			}
			o.Method, o.Path = strings.ToUpper(method), path.key
			b.table.Operations = append(b.table.Operations, o)
		}
	}
	return nil
}

func (b *builder) operated(op *operation) (*operated, error) {
	o := &operated{Request: noType, Response: noType, Status: 200}
	if op.RequestBody != nil {
		body := *op.RequestBody
		if body.Ref != "" {
			body = b.doc.Components.RequestBodies[refName(body.Ref)]
		}
		o.Needs = body.Required
		if err := b.request(o, body.Content); err != nil {
			return nil, err
		}
	}
	for _, p := range op.Parameters {
		if p.Ref != "" {
			p = b.doc.Components.Parameters[refName(p.Ref)]
		}
		if p.In == "query" {
			o.page(p)
		}
	}
	return o, b.response(o, op.Responses)
}

// page notes a parameter of the query if it is one of paging.
func (o *operated) page(p parameter) {
	o.Paged = o.Paged || p.Name == "after" || p.Name == "limit"
	if p.Name != "limit" || p.Schema == nil {
		return
	}
	if n, ok := p.Schema.Default.(int); ok && n > 0 {
		o.Limit = n
	}
	if p.Schema.Maximum != nil {
		o.MaxLimit = int(*p.Schema.Maximum)
	}
}

func (b *builder) request(o *operated, bodies ordered[media]) error {
	o.Request = opaque
	for _, m := range bodies {
		if strings.HasSuffix(m.key, "json") {
			i, err := b.typeOf(m.value.Schema)
			o.Request = i
			return err
		}
	}
	return nil
}

// response sets what a success looks like: the first one with a body, else the first.
func (b *builder) response(o *operated, all ordered[response]) error {
	first := true
	for _, r := range all {
		status, err := strconv.Atoi(r.key)
		if err != nil || status < 200 || status > 299 {
			continue
		}
		body := r.value.Content
		if r.value.Ref != "" {
			body = b.doc.Components.Responses[refName(r.value.Ref)].Content
		}
		if first {
			o.Status = status
		}
		first = false
		if len(body) == 0 || o.Response != noType {
			continue
		}
		o.Status = status
		at := max(0, slices.IndexFunc(body, func(e entry[media]) bool { return e.key == "application/json" }))
		if body[at].key != "application/json" {
			o.Media = body[at].key
		}
		if o.Response, err = b.typeOf(body[at].value.Schema); err != nil {
			return err
		}
	}
	return nil
}
