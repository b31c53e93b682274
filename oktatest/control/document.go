// This file reads and writes the JSON of the control API.

package control

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/document"
)

const jsonType = "application/json"

// maxBody bounds a request's body.
const maxBody = 4 << 20

// problem is a mistake in a request.
type problem struct {
	Path    string `json:"path"` // "steps.2.code"; "" for the whole
	Problem string `json:"problem"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

type problems []problem

// Error returns the problems, one in each line.
func (list problems) Error() string {
	lines := make([]string, len(list))
	for i, p := range list {
		lines[i] = fmt.Sprintf("%s: %s", p.Path, p.Problem)
	}
	return strings.Join(lines, "\n")
}

// reply sends a value as JSON; of problems, an object of them.
func reply(w http.ResponseWriter, status int, v any) {
	if list, is := v.(problems); is {
		v = map[string]problems{"problems": list}
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"problems": [{"problem": "the answer is no JSON"}]}`)
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// body is what a request says.
type body struct {
	text []byte
	root *document.Node
}

// read reads a request's body into v, a pointer. An empty body is an empty object.
func read(r *http.Request, v any) (*body, error) {
	text, err := readText(r)
	if err != nil {
		return nil, err
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		text = []byte("{}")
	}
	root, broken := document.Read(text)
	if broken != nil {
		return nil, problemsOf([]document.Problem{*broken})
	}
	b := &body{text, root}
	return b, problemsOf(root.Bind(v, nil, wanted))
}

func readText(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, problems{{Problem: "the body cannot be read: " + err.Error()}}
	case len(text) > maxBody:
		return nil, problems{{Problem: fmt.Sprintf("the body has more than %d bytes", maxBody)}}
	}
	return text, nil
}

// problemsOf returns what was found, as an error that is nil if that is nothing.
func problemsOf(found []document.Problem) error {
	if len(found) == 0 {
		return nil
	}
	var list problems
	for _, p := range found {
		list = append(list, problem{document.Path(p.Path), p.Text, p.Line, p.Column})
	}
	return list
}

// at makes a problem of what a path leads to.
func (b *body) at(text string, path ...string) error {
	place, _ := b.root.Find(path)
	return problems{{document.Path(path), text, place.Line, place.Column}}
}

// span is a duration; given is whether it was.
type span struct {
	time.Duration
	given bool
}

// UnmarshalText reads "1m30s".
func (s *span) UnmarshalText(text []byte) (err error) {
	s.given = true
	s.Duration, err = time.ParseDuration(string(text))
	return err
}

// wanted has what problems ask for where a value cannot be read.
var wanted = map[reflect.Type]string{reflect.TypeFor[span](): `a duration such as "30s"`}

// refusal runs f, which calls a method of the fake's that panics at what makes no sense,
// and returns what it says then; "" if it does not panic.
func refusal(f func()) (says string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case string:
			says = strings.TrimPrefix(r, "oktatest: ")
			if says == r {
				panic(r) // not the fake's way to refuse
			}
		default:
			panic(r)
		}
	}()
	f()
	return ""
}
