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
// asked again, for the call that asked has long gone on by itself.
//
// A client of a Cluster or of Sentinels finds the new master after a failover. It must
// not wait long for a server that is dead:
//
//	redis.NewClusterClient(&redis.ClusterOptions{
//		Addrs:                 []string{…}, // of several nodes
//		ContextTimeoutEnabled: true,
//		DialTimeout:           time.Second,
//		ReadTimeout:           time.Second,
//		DialerRetries:         1,
//	})
//	redis.NewFailoverClient(&redis.FailoverOptions{
//		MasterName:            "mymaster",
//		SentinelAddrs:         []string{…}, // of all sentinels
//		ContextTimeoutEnabled: true,
//		MaxRetries:            -1,
//		DialTimeout:           time.Second,
//		ReadTimeout:           time.Second,
//		DialerRetries:         1,
//	})
//
// MaxRedirects of a Cluster's client stays as it is: with -1 it would follow no slot that
// has moved. By itself the client looks where the slots are once a minute, at
// ClusterStateReloadInterval; a [Store] has it look after each error, so that setting
// needs no change. With the settings above the store is in use again within 3 s of the
// promotion of a replica. Neither RouteByLatency, RouteRandomly nor ReadOnly is of use,
// for each question writes.
//
// go-redis prints several lines for each connection that fails to standard error, in all of the
// program; see [LogTo].
//
// # The rights of the user
//
// The user needs no more than this:
//
//	ACL SETUSER oktaretry on >PASSWORD ~oktaretry:* \
//	  +evalsha +eval +time +hget +hset +hdel +hgetall +del +pexpire +pttl
//
// The pattern of keys is the prefix, see [WithPrefix]. In a Redis Cluster the client itself
// needs +cluster|slots (before Redis 7: +cluster) and +command besides; without the latter it
// asks for the list of commands at each question in vain.
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
