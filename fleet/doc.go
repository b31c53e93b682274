// Package fleet shares rate limits and circuits among the processes of a fleet
// through Redis or Valkey: together they use the whole quota of an Okta org and
// meet no 429, and one probe is sent for all of them when a circuit half-opens.
//
//	client := redis.NewClient(&redis.Options{
//		Addr:                  "localhost:6379",
//		ContextTimeoutEnabled: true,
//		MaxRetries:            -1,
//	})
//	store, err := fleet.New(client)
//	…
//	transport, err := oktaretry.NewTransport(nil, oktaretry.WithShared(store))
//
// # The client
//
// It is the user's own, of a single server, a Redis Cluster or Sentinels, Redis 6
// or newer or Valkey. Two of its settings are worth a thought. With
// ContextTimeoutEnabled a question ends when oktaretry stops waiting for its
// answer, after [oktaretry.SharedTimeout]; without it the connection stays in use
// until the client's ReadTimeout. With MaxRetries -1 a failed question is not
// asked again, for the call that asked has long gone on by itself. The user needs
// the commands EVAL, EVALSHA, SCRIPT LOAD, TIME, HGET, HSET, HDEL, HGETALL,
// DEL, PEXPIRE and PTTL, on the keys of the prefix.
//
// # When Redis is lost
//
// Calls go on, each process by what it knows; see [oktaretry.WithShared]. Redis
// may be killed, emptied, paused, full or failed over at any time: what is in it
// is worth no more than a window, and is learned anew from the next answers.
//
// # What is in Redis
//
// For each bucket two hashes, {id}:window and {id}:holders, the id being a hash
// of host, bucket and credential; the credential is itself a keyed hash, see
// [oktaretry.SharedSecret]. The window's field "name" says host and bucket. For
// each host a hash {host}:circuits, of those that are not closed. Every key
// expires, 15 minutes after its last use or after the end of the window or hold
// that it describes, whichever is later. All times are of the server's clock; those
// of processes don't matter.
//
// Each question is one script. Its keys share a hash tag, so it runs on the
// master of one slot of a Redis Cluster.
package fleet
