// This file tests that the caller's body is closed once, by whoever has it last.

package replay_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/oktaretry/oktaretry/internal/replay"
)

// Each script is what happens to one body; the number of a step is how often the caller's body has been closed after it.
func TestCallersBodyIsClosedOnce(t *testing.T) {
	type step struct {
		name string
		do   func(*script)
		want int64
	}
	var (
		nextStep  = func(want int64) step { return step{"Next", (*script).next, want} }
		part      = func(want int64) step { return step{"read a part", (*script).part, want} }
		all       = func(want int64) step { return step{"read all", (*script).all, want} }
		closeBody = func(want int64) step { return step{"close the attempt", (*script).closeLast, want} }
		closeOld  = func(want int64) step { return step{"close the first attempt", (*script).closeFirst, want} }
		closeCall = func(want int64) step { return step{"Close", (*script).closeCall, want} }
	)
	tests := []struct {
		name  string
		steps []step
	}{
		{"refused before the send", []step{closeCall(1), closeCall(1)}},
		{"sent once", []step{nextStep(0), all(0), closeBody(1), closeCall(1)}},
		{"sent once, closed late", []step{nextStep(0), all(0), closeCall(0), closeBody(1), closeBody(1)}},
		{"never read", []step{nextStep(0), closeBody(0), closeCall(1), closeCall(1)}},
		{"never read, closed late", []step{nextStep(0), closeCall(0), closeBody(1)}},
		{"early answer handed back", []step{nextStep(0), part(0), closeCall(0), part(0), closeBody(1)}},
		{"early answer, sent again", []step{nextStep(0), part(0), closeBody(0), nextStep(0), all(0), closeBody(1), closeCall(1)}},
		{"early answer, resend fails unread", []step{nextStep(0), part(0), closeBody(0), nextStep(0), closeBody(0), closeCall(1)}},
		{"old attempt closed late", []step{nextStep(0), part(0), nextStep(0), closeOld(0), all(0), closeBody(1), closeCall(1), closeOld(1)}},
		{"old attempt closed after the call", []step{nextStep(0), part(0), nextStep(0), closeCall(0), closeOld(0), closeBody(1)}},
		{"too large", []step{nextStep(0), part(0), part(0), part(0), closeBody(1), closeCall(1)}},
		{"sent three times", []step{nextStep(0), all(0), closeBody(1), nextStep(1), all(1), closeBody(1), nextStep(1), closeBody(1), closeCall(1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{data: text(100)}
			s := &script{t: t, b: replay.New(request(t, src), 100)}
			if tt.name == "too large" {
				s.b = replay.New(request(t, src), 50)
			}
			for i, step := range tt.steps {
				step.do(s)
				if got := src.closes.Load(); got != step.want {
					t.Fatalf("after step %d (%s): closed %d times, want %d", i+1, step.name, got, step.want)
				}
			}
		})
	}
}

// With GetBody each attempt has a body of its own: the base closes it, and Close only closes what no attempt has taken.
func TestBodiesFromGetBodyAreClosedOnce(t *testing.T) {
	for attempts := range 4 {
		var sources []*source
		fresh := func() *source {
			sources = append(sources, &source{data: text(100)})
			return sources[len(sources)-1]
		}
		req := request(t, fresh())
		req.GetBody = func() (io.ReadCloser, error) { return fresh(), nil }
		b := replay.New(req, 100)
		for range attempts {
			next(t, &b).Close()
		}
		b.Close()
		b.Close()
		if len(sources) != max(attempts, 1) {
			t.Errorf("%d attempts: %d bodies", attempts, len(sources))
		}
		for _, src := range sources {
			wantCloses(t, src, 1, "after the call")
		}
	}
}

func TestErrorOfCloseIsReturnedOnce(t *testing.T) {
	broken := errors.New("disk failure")
	tests := []struct {
		name     string
		attempt  bool
		read     bool
		byCall   error
		byServer error
	}{
		{"unused", false, false, broken, nil},
		{"sent", true, true, nil, broken},
		{"unread", true, false, broken, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{data: text(100), closeErr: broken}
			s := &script{t: t, b: replay.New(request(t, src), 100)}
			if tt.attempt {
				s.next()
				if tt.read {
					s.all()
				}
				if err := s.bodies[0].Close(); err != tt.byServer {
					t.Errorf("the attempt's Close = %v, want %v", err, tt.byServer)
				}
			}
			if err := s.b.Close(); err != tt.byCall {
				t.Errorf("Close = %v, want %v", err, tt.byCall)
			}
			wantCloses(t, src, 1, "after the call")
		})
	}
}

// HTTP/2 closes a body while another goroutine reads it, to unblock that one. At the end of a call the stream must be
// closed then.
func TestCloseUnblocksARead(t *testing.T) {
	for _, baseFirst := range []bool{true, false} {
		pr, pw := io.Pipe()
		b := replay.New(request(t, pr), 100)
		body := next(t, &b)
		entered, done := make(chan struct{}), make(chan error)
		go func() {
			close(entered)
			_, err := body.Read(make([]byte, 10))
			done <- err
		}()
		<-entered
		if baseFirst {
			body.Close()
			b.Close()
		} else {
			b.Close()
			body.Close()
		}
		if err := <-done; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("Read = %v, want an error", err)
		}
		if _, err := pw.Write([]byte("x")); err == nil {
			t.Error("the pipe is still open")
		}
		if _, err := body.Read(make([]byte, 10)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("Read after Close = %v, want an error", err)
		}
	}
}

type script struct {
	t      *testing.T
	b      replay.Body
	bodies []io.ReadCloser
}

func (s *script) next() {
	body, err := s.b.Next(context.Background())
	if err != nil {
		s.t.Fatalf("Next: %v", err)
	}
	s.bodies = append(s.bodies, body)
}

func (s *script) part() {
	if _, err := io.ReadFull(s.last(), make([]byte, 30)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) all() {
	if _, err := io.Copy(io.Discard, s.last()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) last() io.ReadCloser { return s.bodies[len(s.bodies)-1] }
func (s *script) closeLast()          { s.last().Close() }
func (s *script) closeFirst()         { s.bodies[0].Close() }
func (s *script) closeCall()          { s.b.Close() }
