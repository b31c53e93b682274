// Package oktaretry is a retry and resilience policy for calls to Okta: an
// [http.RoundTripper] that goes under okta-sdk-golang, or any other client of
// Okta, and makes each call survive rate limits, outages and factors that wait
// for their user, without ever making things worse.
//
//	transport, err := oktaretry.NewTransport(nil)
//	…
//	client := transport.Client() // give it to the SDK
//
// # What a call returns
//
// Every answer has a [Class], by its Okta error code first and its HTTP status
// second, and the [Policy] has a [Rule] for it:
//
//   - success (2xx, 3xx): returned untouched.
//   - rate-limited (the 429 codes): sent again after the wait that Okta asks for,
//     whatever the method, for Okta refused it unprocessed. The bucket's other
//     calls are held meanwhile where the bucket was refused, not a single user,
//     client or session. A 429 that is given up is returned as a
//     [*RateLimitError].
//   - server-error (the 5xx codes): sent again after a short exponential backoff,
//     idempotent methods only, within circuit breakers and a retry budget. The
//     last answer is returned as Okta sent it.
//   - pending (E0000070): polled until the factor answers, else a
//     [*PendingError].
//   - client-error (every other 4xx): returned at once, byte for byte; but E0000239,
//     a policy lock, is sent again whatever the method, and a 408 or 425 without a
//     code where that is safe.
//   - network (no answer at all): like a server error, except that a request of
//     which nothing was written may be sent again whatever its method. The last
//     error of the base is returned, without its URL and without a match for
//     [io.EOF], at which the Okta SDKs loop. An error that did not come of the
//     network is returned at once: see [WithErrorClassifier].
//
// A call that an open circuit refuses fails with a [*CircuitOpenError]. A wait that
// would not end before the context's deadline, or would exceed the rule's MaxElapsed
// or Pace.MaxWait, is not begun: the call ends at once, and its outcome records the
// wait that would have been needed. If the caller's context ends a wait, the error
// matches the context's error and its cause. A call never returns a response and an
// error together.
//
// Answers that another attempt followed are dropped, along with their header fields:
// a cookie jar misses a Set-Cookie that only they had.
//
// # The order of the layers
//
// Each attempt, the first one included, passes these, from the outside in:
//
//   - pace: a place in the rate-limit bucket of this host, credential and endpoint,
//     by what the headers of earlier answers report as left. It precedes the
//     circuits, so that a waiting call never keeps the place of a probe.
//   - circuits: the host's and the endpoint's. They count attempts, not calls, so
//     they open after a number of failed attempts.
//   - the attempt: a clone of the request with a body, a span and a time limit of
//     its own.
//
// Pace and circuits learn from each answer before the call decides whether another
// attempt follows. Retries are the outermost layer: a resend waits for its place
// like any other attempt, and a circuit that has opened meanwhile ends the call.
//
// # Many processes
//
// Each process learns from the headers by itself. Processes that use one bucket can
// share its places, and their circuits, through a store: see [WithShared]. Module
// fleet has a store on Redis. The loss of the store never fails a call.
//
// # Observability
//
// [OutcomeOf] returns the outcome of the call that a response belongs to. A recorder
// in the context ([WithRecorder]) has the outcome of every call, also through SDKs
// that flatten errors into strings. Spans and metrics go to OpenTelemetry, log lines
// to [WithLogger]; docs/telemetry.md lists them all. None of them, and no error text of
// this package, contains a path, a query, a body, an error summary or a token.
//
// # Glossary
//
//   - attempt: one request sent to Okta, and its answer; a call makes one or more.
//   - bucket: the requests that count together against one of Okta's rate limits.
//   - hold: after a 429, the time in which no call of the bucket is sent.
//   - lease: places of a window that the shared store grants a process for a while.
//   - probe: an attempt that tests whether what an open circuit guards is back.
//   - resend: an attempt that repeats the call's request after a 429 or an error.
//   - scout: a call sent ahead into an unknown window, whose answer describes it.
//   - template: a path with its parameters' names for values, /users/{userId}.
//   - tide: the peak of calls in flight just now, measured while many end at once.
//   - window: the time in which a rate limit counts, from one reset to the next.
package oktaretry

// Version is the version of this module, and of those released with it. It is the
// version of the instrumentation scope of spans and metrics.
const Version = "0.1.0"
