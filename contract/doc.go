// Package contract holds an HTTP transport to what every [http.RoundTripper]
// owes its caller, and to what a retrying one owes the server: a suite of
// behaviours, each a test of its own, for any stack of wrappers.
//
//	func TestMyStack(t *testing.T) {
//		contract.Run(t, func(base http.RoundTripper) http.RoundTripper {
//			return mytracing.Wrap(mustTransport(oktaretry.NewTransport(base)))
//		})
//	}
//
// There are three lists. RoundTripper is what the documentation of
// [http.RoundTripper] says and what [http.Client] takes for granted. Resending
// is about what is sent a second time: the same, and only what may be. Waiting
// is about the time between. [Cases] gives them all, each with the reason why
// somebody should care.
//
// # How it is measured
//
// Nothing leaves the process and nobody sleeps: every case runs in virtual time
// (a bubble of [testing/synctest]), so a stack may wait for minutes between two
// attempts and still be asked about it in milliseconds. The base is either a
// script that notes what reached it, or net/http's real Transport and Server
// with pipes for sockets; so redirects, trailers, gzip, TLS errors and the count
// of connections are net/http's own, in virtual time like the rest.
//
// The stack is made inside of the bubble, once or more for each case. It may
// start goroutines; those that live on after its calls have ended and its base
// is gone count as left behind.
//
// A case ends within six hours of virtual time and 30 s of real time,
// whatever the stack does. A panic of the stack in the goroutine of the call is
// an error of the case. A panic in a goroutine that the stack has started is
// not to be caught, and ends the test as it would end a program. With -race, a
// data race in the stack fails the test as it does anywhere; several cases read
// the request while the stack has it, so that there is something to find.
//
// # Fairness
//
// No case asks for a number of attempts or a length of backoff: only for what is
// true of any. A case that needs a retry to be asked at all ([Case.NeedsRetry])
// is skipped for a stack that sends a GET that was answered with 503 only once,
// and a case about a broken base for a stack that is its base. Cases that a
// good transport may leave out ([Case.Feature]) never fail [Run].
package contract
