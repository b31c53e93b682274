// Package outage measures what this library and its peers do to a server that
// is down or limping, and how soon they are back when it is. It runs in virtual
// time.
//
//	go test ./benchmarks/outage -run TestScenarios -update
//
// writes RESULTS.md and the plots outage.svg and requests.svg. Without -update the same test holds
// this library to its targets only, in a few shorter scenarios, or with -full in all that have targets.
//
// # The load
//
// 100 workers make a call each second, spread evenly over it, to five endpoints;
// a fifth are POSTs. Where it is said so, all are GETs of one endpoint. A worker begins no call while another of its own is under
// way, and never makes up for those that it missed. So the normal load is 100
// requests a second, and whoever lets a call take longer sends fewer. Where it is
// said that calls begin on time, none waits for another.
//
// # The trouble
//
// The server is well for 40 s, in trouble, then well for 90 s. A served call
// takes 20 to 80 ms. In trouble the server
//
//   - answers 503, without a code, as Okta's edge does, after 20 ms;
//   - refuses connections, after 1 ms;
//   - takes requests and never answers them, also when it is well again;
//   - or does what the scenario says, by endpoint, by chance or by the clock.
//
// # The figures
//
//   - Requests are those that a server in trouble was sent: attempts to connect
//     that it refused, too.
//   - Load is their number, of the normal load for as long as the trouble lasts.
//     The bare client's is 100 % where failures are quick.
//   - Peak is the most requests in any one second (of all, not of those that
//     begin with the clock's) from the beginning of the trouble to the end of the
//     run, of the normal 100.
//   - A call is refused when it ends badly without a request. How long the
//     longest of these took says whether it was refused at once.
//   - First success: from the end of the trouble to the first answer after it
//     with which a call ended well.
//   - Recovered: from the end of the trouble to the end of the first second that
//     brought 95 successes, 95 % of the normal. From 10 s on the mean has to be
//     95 % to the end of the run.
//   - A POST is read twice when the server may have read something of two of its
//     attempts: all but refused connections. Each call is known by its context,
//     which all of its attempts inherit.
//   - Calls that ended well, GETs and POSTs, are of those that were begun while
//     the server was in trouble. Work done is their number, of the normal number
//     of calls.
//
// # The targets
//
// Outages of 60, 100, 120 and 300 s, each of the three kinds: load at most 1 %
// in those of 120 s and more (what it takes to notice is the same in a shorter
// one), first success within 6 s, recovered within 10 s, peak at most 120 %.
// A brown-out, 30 % of requests answered 503 for 10 minutes: 99 % of the GETs end
// well, load at most 150 %. In all scenarios: refused at once, no POST read
// twice.
package outage
