// Package oktaretry is a retry and resilience policy for calls to Okta: an
// [http.RoundTripper] that goes under okta-sdk-golang, or any other client of
// Okta, and makes each call survive rate limits, outages and factors that wait
// for their user, without ever making things worse.
//
//	transport, err := oktaretry.NewTransport(nil)
//	…
//	client := transport.Client() // give it to the SDK
//
// # What comes back
//
// Every answer falls into a [Class], by its Okta error code first and its HTTP
// status second, and meets the [Rule] that the [Policy] has for it:
//
//   - success (2xx, 3xx): handed back untouched.
//   - rate-limited (the 429 codes): the call waits as long as Okta says and
//     goes again, whatever its method, for Okta refused it unprocessed. The
//     other calls of that bucket hold meanwhile. A 429 that is given up comes
//     back as a [*RateLimitError].
//   - server-error (the 5xx codes): a short exponential backoff for idempotent
//     methods, guarded by circuit breakers and a retry budget. The last answer
//     comes back as Okta sent it.
//   - pending (E0000070): polled until the factor answers; then a
//     [*PendingError].
//   - client-error (every other 4xx): comes back at once, byte for byte.
//   - network (no answer at all): like a server error, except that a request
//     of which nothing was written may go again whatever its method. The last
//     error of the base comes back, without its URL and without a match for
//     [io.EOF], which sends the Okta SDKs into a loop.
//
// A call that an open circuit refuses fails with a [*CircuitOpenError]. A wait
// that would not fit before the context's deadline or into the rule's
// MaxElapsed is not begun: the call ends at once, and says what it would have
// needed. When the caller's context ends a wait, the error matches the
// context's error and its cause. There is never a response and an error
// together.
//
// # The order of the layers
//
// Each attempt, the first one included, passes these, from the outside in:
//
//   - pace: a place in the rate-limit bucket of this host, credential and
//     endpoint, by what the headers of earlier answers say is left. It comes
//     before the circuits, so that a sleeping call never holds a probe's slot.
//   - circuits: the host's and the endpoint's. They see every single attempt,
//     so they open after a number of failures, not of failed calls.
//   - the attempt: a clone of the request with a body of its own, its own span
//     and its own time limit.
//
// What the answer says is then learned by pace and circuits before it is
// decided whether the call goes round again. Retries are outermost, so a
// retry waits for its place like any other attempt, and a circuit that opens
// meanwhile ends it.
//
// # Many processes
//
// Each process learns by itself what the headers say of a bucket. Where many
// share one, [WithShared] has them share what they know as well: the places of
// each window, and the circuits. Module fleet holds a store on Redis. A store that
// is lost never fails a call.
//
// # Seeing what happened
//
// [OutcomeOf] tells what happened to the call that brought a response. A
// recorder in the context ([WithRecorder]) tells it of any call, also through
// SDKs that flatten errors into strings. Spans and metrics go to
// OpenTelemetry, log lines to [WithLogger]; TELEMETRY.md lists them all. None of
// them, and no error text of this package, holds a path, a query, a body, an
// error summary or a token.
package oktaretry
