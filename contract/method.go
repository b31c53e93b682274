// This file holds the cases about which requests may be sent again.

package contract

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/h2raw"
)

var methodCases = []Case{{
	Name:  "a POST or PATCH is not sent again on a 5xx",
	Why:   "the server may have done the work before it failed: the resend creates a second user",
	check: noResendOn5xx,
}, {
	Name:  "a POST or PATCH is not sent again after a lost connection",
	Why:   "whether it was done is unknown, and only its caller can find out",
	check: noResendAfterLoss,
}, {
	Name:  "a POST is sent again on a 429, when the server says",
	Why:   "the server refused it before doing anything, so the resend is safe, and the caller is spared",
	check: resendOn429,
}, {
	Name:    "a POST of which nothing was written is sent again",
	Why:     "a refused connection has done nothing: there is no risk to weigh",
	Feature: true,
	check:   resendUnwritten,
}, {
	Name:    "a POST that HTTP/2 left unprocessed is sent again",
	Why:     "each deployment of a server ends its connections, and says which requests it did not get to; net/http repeats only those with a GetBody",
	Feature: true,
	check:   resendUnprocessed,
}, {
	Name:    "an Idempotency-Key makes a POST repeatable",
	Why:     "the key lets the server distinguish a resend from a second order, and net/http honours it too",
	Feature: true,
	check:   idempotencyKey,
}}

func noResendOn5xx(l *lab) error {
	var found findings
	for _, method := range []string{"POST", "PATCH"} {
		for _, code := range []int{500, 502, 503, 504} {
			b := l.base(status(code), status(200))
			l.call(l.stack(b), l.request(method, strings.NewReader("body")))
			wantSends(&found, fmt.Sprintf("%s, %d", method, code), b, 1)
		}
	}
	return found.err()
}

func noResendAfterLoss(l *lab) error {
	var found findings
	for _, method := range []string{"POST", "PATCH"} {
		b := l.base(fail(errReset), status(200))
		l.call(l.stack(b), l.request(method, strings.NewReader("body")))
		wantSends(&found, method+", connection reset after the body", b, 1)
	}
	return found.err()
}

func resendOn429(l *lab) error {
	b := l.base(limited(7*time.Second), status(200))
	a, err := l.call(l.stack(b), l.request("POST", strings.NewReader("body")))
	switch {
	case b.count() != 2:
		return fmt.Errorf("sent %s, want twice", times(b.count()))
	case err != nil:
		return err
	case a.StatusCode != 200 || b.all()[1].body != "body":
		return fmt.Errorf("ends with %d; the second attempt sent %q", a.StatusCode, b.all()[1].body)
	}
	return nil
}

func resendUnwritten(l *lab) error {
	b := l.base(fail(errDial), status(200))
	b.unread = true
	l.call(l.stack(b), l.request("POST", strings.NewReader("body")))
	if b.count() != 2 {
		return errors.New("a POST whose connection was refused is not sent again")
	}
	return nil
}

func resendUnprocessed(l *lab) error {
	refusals := map[string]func(c *h2raw.Conn, stream uint32){
		"a graceful GOAWAY": func(c *h2raw.Conn, stream uint32) { c.GoAway(stream-2, h2raw.NoError) },
		"REFUSED_STREAM":    func(c *h2raw.Conn, stream uint32) { c.Reset(stream, h2raw.RefusedStream) },
	}
	var found findings
	for _, refusal := range sorted(refusals) {
		var got []string
		w, err := l.serveHTTP2(func(c *h2raw.Conn, stream uint32, body []byte) {
			if got = append(got, string(body)); len(got) == 2 {
				refusals[refusal](c, stream)
				return
			}
			c.Respond(stream, 200, "ok")
		})
		if err != nil {
			return err
		}
		rt := l.stack(w)
		for _, body := range []string{"first", "body"} {
			req := l.request("POST", nil)
			req.URL.Scheme, req.Body = "https", watched(strings.NewReader(body))
			_, err = l.call(rt, req)
			l.settle()
		}
		switch {
		case len(got) != 3:
			found.add("a streamed POST that met %s is not sent again", refusal)
		case err != nil || got[2] != "body":
			found.add("a streamed POST that met %s: the second attempt sent %q (%v)", refusal, got[2], err)
		}
	}
	return found.err()
}

func idempotencyKey(l *lab) error {
	b := l.base(status(503), status(200))
	req := l.request("POST", strings.NewReader("body"))
	req.Header.Set("Idempotency-Key", "42")
	l.call(l.stack(b), req)
	if b.count() != 2 {
		return errors.New("a POST with the key that was answered with 503 is not sent again")
	}
	return nil
}
