// This file reads scripts from JSON.

package control

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest"
)

// step is a step of a script as JSON has it.
type step struct {
	// One of these says what happens.
	Pass               bool   `json:"pass"`
	Code               string `json:"code"`
	OAuthError         string `json:"oauthError"`
	Challenge          string `json:"challenge"` // a scheme, beside oauthError
	Status             int    `json:"status"`    // or beside one of the three above
	EdgePage           int    `json:"edgePage"`
	RateLimited        span   `json:"rateLimited"`
	ConcurrencyLimited bool   `json:"concurrencyLimited"`
	Fault              string `json:"fault"`

	// These change an answer.
	Headers        map[string]string `json:"headers"`
	WithoutHeaders []string          `json:"withoutHeaders"`
	Summary        string            `json:"summary"`
	Causes         []string          `json:"causes"`
	Poll           string            `json:"poll"`
	Body           string            `json:"body"`
	ContentType    string            `json:"contentType"`

	// These wrap any step.
	Delay     span `json:"delay"`
	SlowBody  span `json:"slowBody"`
	CutBody   bool `json:"cutBody"`
	StallBody bool `json:"stallBody"`
	Gzip      bool `json:"gzip"`
	Early     bool `json:"early"`
	Times     int  `json:"times"`
	Always    bool `json:"always"`
}

// faults are the steps of connections that break.
var faults = map[string]oktatest.Step{
	"hang":            oktatest.Hang,
	"reset":           oktatest.Reset,
	"eof":             oktatest.EOF,
	"eof-mid-headers": oktatest.EOFMidHeaders,
	"eof-mid-body":    oktatest.EOFMidBody,
	"reset-mid-body":  oktatest.ResetMidBody,
	"refused":         oktatest.Refused,
}

// build makes the step of package oktatest.
func (s step) build() (oktatest.Step, error) {
	made, err := s.kind()
	if err != nil {
		return nil, err
	}
	if answer, is := made.(oktatest.Answer); is {
		made = s.change(answer)
	} else if s.changes() {
		return nil, errors.New("has members that only an answer can have")
	}
	for name, given := range map[string]span{"rateLimited": s.RateLimited, "delay": s.Delay, "slowBody": s.SlowBody} {
		if given.Duration < 0 {
			return nil, fmt.Errorf("has %s below 0", name)
		}
	}
	switch {
	case s.Times < 0:
		return nil, errors.New("has times below 0")
	case s.Times > 0 && s.Always:
		return nil, errors.New("has times and always: want one of them")
	}
	made = s.wrap(made)
	if s.Always {
		made = oktatest.Always(made)
	} else if s.Times > 0 {
		made = oktatest.Times(s.Times, made)
	}
	return made, nil
}

// kind makes what the step does, by the one member that names it.
func (s step) kind() (made oktatest.Step, err error) {
	kinds := 0
	choose := func(given bool, step func() oktatest.Step) {
		if given {
			kinds++
			made = step()
		}
	}
	named := s.Code != "" || s.OAuthError != "" || s.Challenge != ""
	choose(s.Pass, func() oktatest.Step { return oktatest.Pass })
	choose(s.Code != "", func() oktatest.Step { return s.code() })
	choose(s.OAuthError != "" && s.Challenge == "", func() oktatest.Step {
		return oktatest.OAuthError(s.OAuthError, cmp.Or(s.Status, http.StatusBadRequest))
	})
	choose(s.Challenge != "", func() oktatest.Step {
		return oktatest.Challenge(s.Challenge, s.OAuthError, cmp.Or(s.Status, http.StatusUnauthorized))
	})
	choose(s.Status != 0 && !named, func() oktatest.Step { return oktatest.Status(s.Status) })
	choose(s.EdgePage != 0, func() oktatest.Step { return oktatest.EdgePage(s.EdgePage) })
	choose(s.RateLimited.given, func() oktatest.Step { return oktatest.RateLimited(s.RateLimited.Duration) })
	choose(s.ConcurrencyLimited, func() oktatest.Step { return oktatest.ConcurrencyLimited() })
	choose(s.Fault != "", func() oktatest.Step { return faults[s.Fault] })
	switch {
	case kinds != 1:
		return nil, errors.New("wants one of pass, code, status, edgePage, rateLimited, concurrencyLimited, oauthError, challenge, fault")
	case s.Challenge != "" && s.OAuthError == "":
		return nil, errors.New("has a challenge, which wants an oauthError")
	case made == nil:
		names := make([]string, 0, len(faults))
		for name := range faults {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("has the fault %q, want one of %s", s.Fault, strings.Join(names, ", "))
	}
	return made, nil
}

func (s step) code() oktatest.Answer {
	a := oktatest.Code(s.Code)
	if s.Status != 0 {
		a = a.WithStatus(s.Status)
	}
	return a
}

// changes reports whether the step has members that change an answer.
func (s step) changes() bool {
	return len(s.Headers) > 0 || len(s.WithoutHeaders) > 0 || s.Summary != "" || len(s.Causes) > 0 || s.Poll != "" || s.Body != "" || s.ContentType != ""
}

func (s step) change(a oktatest.Answer) oktatest.Answer {
	if s.Summary != "" {
		a = a.WithSummary(s.Summary)
	}
	if len(s.Causes) > 0 {
		a = a.WithCauses(s.Causes...)
	}
	if s.Poll != "" {
		a = a.WithPoll(s.Poll)
	}
	if s.Body != "" || s.ContentType != "" {
		a = a.WithBody(cmp.Or(s.ContentType, jsonType), s.Body)
	}
	for name, value := range s.Headers {
		a = a.WithHeader(name, value)
	}
	for _, name := range s.WithoutHeaders {
		a = a.WithoutHeader(name)
	}
	return a
}

func (s step) wrap(made oktatest.Step) oktatest.Step {
	if s.Gzip {
		made = oktatest.Gzip(made)
	}
	if s.CutBody {
		made = oktatest.CutBody(made)
	}
	if s.StallBody {
		made = oktatest.StallBody(made)
	}
	if s.SlowBody.given {
		made = oktatest.SlowBody(s.SlowBody.Duration, made)
	}
	if s.Early {
		made = oktatest.Early(made)
	}
	if s.Delay.given {
		made = oktatest.Delay(s.Delay.Duration, made)
	}
	return made
}
