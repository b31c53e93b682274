// This file walks all operations of the API: a store of all kinds answers each.

package kinds_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/fill"
	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
	"github.com/oktaretry/oktaretry/oktatest/internal/kinds"
	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

var now = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

func newStore() *generic.Store {
	n := 0
	return generic.New(generic.Config{
		Kinds: kinds.All,
		NewID: func(prefix string) string { n++; return fmt.Sprintf("%s%0*d", prefix, 20-len(prefix), n) },
		Find: func(template, key, base string) (string, map[string]any, bool) {
			return key, map[string]any{"id": key}, strings.HasPrefix(key, "00")
		},
	})
}

// path makes the segments of an operation's path, with all that lies above it.
func path(t *testing.T, s *generic.Store, segments []string) []string {
	var segs []string
	for _, seg := range segments {
		if !openapi.IsVariable(seg) {
			segs = append(segs, seg)
			continue
		}
		above := strings.Join(segs, "/")
		switch {
		case above == "api/v1/users":
			segs = append(segs, "00u1")
		case above == "api/v1/groups":
			segs = append(segs, "00g1")
		case strings.HasPrefix(above, "api/v1/apps/") && strings.HasSuffix(above, "/policies"):
			id, _ := s.Add([]string{"api", "v1", "policies"}, nil, now)
			segs = append(segs, id)
		default:
			id, ok := s.Add(segs, map[string]any{}, now)
			if !ok {
				id = "x1"
			}
			segs = append(segs, id)
		}
	}
	return segs
}

// body is what a client could send.
func body(op *openapi.Operation) []byte {
	if op.Request == nil {
		return nil
	}
	f := &fill.Filler{Base: "https://acme.okta.test", Path: "/request", Now: now, Updated: now, Invent: true}
	b, _ := json.Marshal(f.Value(op.Request, nil, 0))
	return b
}

// Every operation that Okta describes answers its success, with a body of its type.
func TestEveryOperationAnswersItsSuccess(t *testing.T) {
	for _, op := range openapi.Load().Operations {
		s := newStore()
		p := openapi.Load().At(op.Path)
		r, ok := s.Answer(&generic.Request{
			Method: op.Method, Segments: path(t, s, p.Segments), Body: body(op), Base: "https://acme.okta.test", Now: now,
			Query: url.Values{"type": {"ACCESS_POLICY"}},
		})
		name := op.Method + " " + op.Path
		if !ok || r.Status != op.Status {
			t.Errorf("%s: %t, %+v %+v, want %d (sent %s)", name, ok, r, r.Failure, op.Status, body(op))
			continue
		}
		if err := checked(op, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checked holds an answer to the operation's type.
func checked(op *openapi.Operation, r *generic.Response) error {
	if op.Response == nil && op.Status == 200 && op.Method == "POST" {
		if fmt.Sprint(r.Body) != "map[]" {
			return fmt.Errorf("want an empty object, got %+v", r)
		}
		return nil
	}
	if op.Response == nil || op.Media != "" {
		if r.Body != nil || r.IsList || (op.Media != "") != (r.Text != "") {
			return fmt.Errorf("a body of the wrong kind: %+v", r)
		}
		return nil
	}
	v := r.Body
	if r.IsList {
		list := []any{}
		for _, e := range r.List {
			list = append(list, e.Body)
		}
		v = list
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var decoded any
	if err := json.Unmarshal(text, &decoded); err != nil {
		return err
	}
	if err := op.Response.Check(decoded); err != nil {
		return fmt.Errorf("%w in %s", err, text)
	}
	return nil
}
