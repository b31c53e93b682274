// This file holds how the store is asked: in a bounded time, whatever the store
// does, and never when it is known to be lost.

package oktaretry

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/shared"
)

// sharing is a Transport's side of a store.
type sharing struct {
	sharedConfig
	fleet   *pace.Fleet
	holder  string
	claims  atomic.Uint64
	began   time.Time
	overdue atomic.Int32 // questions that the store has not answered in time, nor given up
	report  telemetry.Store
}

// mostOverdue bounds the goroutines that a store can hold which heeds no context.
const mostOverdue = 16

func newShared(c config) (*sharing, error) {
	if c.shared == nil {
		return nil, nil
	}
	report, err := telemetry.NewStore(c.telemetry())
	if err != nil {
		return nil, err
	}
	return &sharing{
		sharedConfig: *c.shared, fleet: new(pace.Fleet), holder: rand.Text()[:16] + ".", began: time.Now(), report: report,
	}, nil
}

// What is wrong with an answer that is none.
var (
	errSharedTimeout = errors.New("no answer in time")
	errSharedAbsurd  = errors.New("an answer that makes no sense")
)

// The operations of a store.
const (
	opLease    = "lease"
	opCircuits = "circuits"
	opProbe    = "probe"
	opReport   = "report"
)

// sharedPanic is a panic of the store.
type sharedPanic struct{ value any }

func (p *sharedPanic) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// ask puts one question to the store and waits for the answer: until the
// timeout, or until the caller's context ends, for an answer serves others too.
// then runs once, with the question's error, when there is an answer or none
// will be waited for; it may run when ask has returned.
func (s *sharing) ask(ctx context.Context, op string, a pace.Attempt, question func(context.Context) error, then func(error)) {
	began := time.Now()
	over := make(chan struct{})
	var once sync.Once
	var thrown any // by a log handler or a meter: for the caller, like any panic of theirs
	end := func(err error) {
		once.Do(func() {
			defer close(over)
			then(err)
			defer func() { thrown = recover() }()
			s.settle(ctx, op, a, time.Since(began), err)
		})
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout+s.timeout/2)
	var state atomic.Int32 // of the question: asked, answered in time, or not
	const answered, overdue = 1, 2
	expire := func() {
		if state.CompareAndSwap(0, overdue) {
			s.overdue.Add(1)
			cancel()
			end(errSharedTimeout)
		}
	}
	timer := time.AfterFunc(s.timeout, func() {
		// That this comes late means that the process did not get to run, and the
		// answer may lie there.
		if late := time.Since(began) - s.timeout; late > s.timeout/10 {
			time.AfterFunc(min(late, s.timeout/2), expire)
			return
		}
		expire()
	})
	go func() {
		defer cancel()
		err := asError(within, question)
		if !state.CompareAndSwap(0, answered) {
			s.overdue.Add(-1)
			return
		}
		timer.Stop()
		if err != nil && within.Err() != nil {
			err = errSharedTimeout
		}
		end(err)
	}()
	select {
	case <-over:
		if thrown != nil {
			panic(thrown)
		}
	case <-ctx.Done():
	}
}

// asError makes an error of a panic, which would end the process.
func asError(ctx context.Context, question func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &sharedPanic{v}
		}
	}()
	return question(ctx)
}

// settle takes note of how it went, and tells of a change.
func (s *sharing) settle(ctx context.Context, op string, a pace.Attempt, took time.Duration, err error) {
	lost := err != nil && s.fleet.Failed(a, time.Now())
	back := err == nil && s.fleet.Succeeded(a)
	failure, said := "", ""
	if err != nil {
		failure, said = sharedFailure(err), shownText(err.Error())
	}
	s.report.Asked(ctx, op, took, failure)
	if lost || back {
		s.report.Changed(ctx, lost, op, failure, said)
	}
}

// may asks for permission to ask the store.
func (s *sharing) may(now time.Time) (pace.Attempt, bool) {
	if s.overdue.Load() >= mostOverdue {
		return pace.Attempt{}, false
	}
	return s.fleet.Try(now)
}

// askForPlace asks the store in the name of the call's bucket, whose line waits
// for it. It reports whether there was anything to ask.
func (c *call) askForPlace() bool {
	credential := c.t.shared.credential(c.req)
	e := c.ticket.Errand(time.Now())
	c.run(e, credential)
	return e != nil
}

// visitShared sees whether a store that was lost is back. The call goes anyway.
func (c *call) visitShared(now time.Time) {
	s := c.t.shared
	if !s.fleet.Due(now) || s.overdue.Load() >= mostOverdue {
		return
	}
	credential := s.credential(c.req)
	if e := c.ticket.Visit(now); e != nil {
		c.run(e, credential)
	}
}

// run puts an errand of a bucket to the store; nil is none.
func (c *call) run(e *pace.Errand, credential string) {
	if e == nil {
		return
	}
	s := c.t.shared
	bucket := shared.Bucket{Host: strings.ToLower(c.target.Host), Bucket: c.route.Bucket, Credential: credential}
	var lease shared.Lease
	s.ask(c.ctx, opLease, e.Attempt, func(ctx context.Context) error {
		got, err := s.store.Lease(ctx, bucket, e.Request)
		if err != nil {
			return err
		}
		if e.Absurd(time.Now(), &got) {
			return errSharedAbsurd
		}
		lease = got
		return nil
	}, func(err error) {
		if err != nil {
			e.Failed()
		} else {
			e.Answered(time.Now(), lease)
		}
	})
	c.now = time.Now()
}

// learnShared tells the store at once what cannot wait.
func (c *call) learnShared(e *pace.Errand) {
	if e == nil {
		return
	}
	known := false
	defer func() {
		if !known { // the user's function panicked: the bucket must not wait for an answer
			e.Failed()
		}
	}()
	credential := c.t.shared.credential(c.req)
	known = true
	c.run(e, credential)
}

// credential is a name of the request's credential on which all processes
// agree, and from which nobody finds the credential.
func (s *sharing) credential(req *http.Request) string {
	var name string
	if s.identity != nil {
		name = s.identity(req)
	} else {
		name = client(req.Header.Get("Authorization"))
	}
	if name == "" {
		return ""
	}
	key := s.secret
	if key == nil {
		key = []byte(name)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("oktaretry: credential of a bucket\x00" + name))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// client returns what Okta counts the calls of an Authorization header for: the
// client of a token that is a JWT, else the header itself.
func client(authorization string) string {
	_, token, _ := strings.Cut(authorization, " ")
	_, rest, _ := strings.Cut(token, ".")
	payload, _, isJWT := strings.Cut(rest, ".")
	if !isJWT || len(payload) > 16<<10 {
		return authorization
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return authorization
	}
	var claims struct {
		Issuer string `json:"iss"`
		Client string `json:"cid"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Client == "" {
		return authorization
	}
	return claims.Issuer + " " + claims.Client
}

// sharedFailure is what went wrong, in one word.
func sharedFailure(err error) string {
	var panicked *sharedPanic
	switch {
	case errors.Is(err, errSharedTimeout):
		return "timeout"
	case errors.Is(err, errSharedAbsurd):
		return "absurd"
	case errors.As(err, &panicked):
		return "panic"
	}
	return "error"
}
