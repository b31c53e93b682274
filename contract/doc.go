// Package contract tests what every [http.RoundTripper] owes its caller, and what a
// retrying one owes the server: a suite of cases, each a test of its own, for any
// stack of transports.
//
//	func TestMyStack(t *testing.T) {
//		contract.Run(t, func(base http.RoundTripper) http.RoundTripper {
//			return mytracing.Wrap(mustTransport(oktaretry.NewTransport(base)))
//		})
//	}
//
// There are three lists. RoundTripper is the documentation of [http.RoundTripper],
// and what [http.Client] relies on. Resending is about further attempts: they send
// the same request, and only if it may be sent again. Waiting is about the time
// between attempts. [Cases] returns all cases, each with the harm that it prevents.
//
// # Method
//
// Every case runs in virtual time, in a bubble of [testing/synctest], and in one
// process: a stack that waits for minutes between two attempts takes milliseconds.
// The base is either a script that records the requests which reach it, or
// net/http's own Transport and Server with pipes for sockets, so that redirects,
// trailers, gzip, TLS errors and the count of connections are net/http's.
//
// The stack is made in the bubble, at least once for each case. It may start
// goroutines; those that outlive its calls and its base count as left behind.
//
// A case ends within six hours of virtual time and 30 s of real time, whatever the
// stack does. A panic of the stack in the goroutine of the call is an error of the
// case; in a goroutine that the stack has started, it ends the test as it would end
// a program. With -race, a data race in the stack fails the test; several cases read
// the request while the stack has it, so that a race can be detected.
//
// # Fairness
//
// No case requires a number of attempts or a length of backoff. A case that needs a
// retry ([Case.NeedsRetry]) is skipped for a stack that does not send a GET again
// after a 503, a case about a broken base for a stack that is its base, and one about
// polls for a stack that leaves them to its caller. Cases that a good transport may
// leave out ([Case.Feature]) never fail [Run].
package contract
