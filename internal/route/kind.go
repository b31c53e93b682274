// This file finds what the requests of one bucket or endpoint differ in. Of a bucket's
// Okta counts some apart by method, template and the names of the query's keys: GET
// /api/v1/users?search= from the list, reads of an app from writes. An endpoint's can be
// refused or fail for what one URL names.

package route

import (
	"hash/maphash"
	"net/url"
	"slices"
	"strings"
)

// kindSeed keys the hash, so that nobody can make two kinds look like one.
var kindSeed = maphash.MakeSeed()

// KindID identifies the kind of a request by its method, template and the names of
// the query's keys, whatever their order and values. IDs are equal within a process
// only. It does not allocate unless a name is encoded.
func KindID(method, template, rawQuery string) uint64 {
	var h maphash.Hash
	h.SetSeed(kindSeed)
	write := func(s string) {
		h.WriteString(s)
		h.WriteByte(0)
	}
	write(method)
	write(template)
	k := keysOf(rawQuery)
	for _, name := range k.names[:k.count] {
		write(name)
	}
	return h.Sum64()
}

// KindName shows the kind of a request: "GET /api/v1/users?limit&search". It holds
// the names of Okta's own query keys and never those of others, which become
// "_OTHER". The method must be one that may be shown.
func KindName(method, template, rawQuery string) string {
	var b strings.Builder
	b.WriteString(method + " " + template)
	k := keysOf(rawQuery)
	separator, others := "?", false
	for _, name := range k.names[:k.count] {
		if _, known := slices.BinarySearch(documentedKeys, name); !known {
			others = true
			continue
		}
		b.WriteString(separator + name)
		separator = "&"
	}
	if others {
		b.WriteString(separator + "_OTHER")
	}
	return b.String()
}

// Of a query the first maxKeys names count, and of a name the first maxKeyLength
// bytes: more than any of Okta's endpoints takes.
const (
	maxKeys      = 16
	maxKeyLength = 64
)

// keys are the distinct names of a query's keys, in order.
type keys struct {
	names [maxKeys]string
	count int
}

func keysOf(rawQuery string) (k keys) {
	for more := rawQuery != ""; more && k.count < maxKeys; {
		var pair string
		pair, rawQuery, more = strings.Cut(rawQuery, "&")
		name, _, _ := strings.Cut(pair, "=")
		if name == "" {
			continue
		}
		name = name[:min(len(name), maxKeyLength)]
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		at, known := slices.BinarySearch(k.names[:k.count], name)
		if known {
			continue
		}
		copy(k.names[at+1:k.count+1], k.names[at:k.count])
		k.names[at] = name
		k.count++
	}
	return k
}

// documentedKeys are the query keys in Okta's OpenAPI description (that of
// okta-sdk-golang/v5), and "fields", which its reference adds; in order.
var documentedKeys = strings.Fields(`
	activate after code disableNotifications expand fields filter includeNonDeleted language limit limitPerPoolType mode
	nextLogin oauthClientId oauthTokens poolType provider q removeRecoveryEnrollment removeUsers revokeSessions scheduled
	scopeId search sendEmail since sortBy sortOrder sourceId state status stream_id strict targetAid targetId targetIdpId
	templateId templateType tokenLifetimeSeconds trusted type until updatePhone validityYears`)

// URLID returns what requests of one path and query have in common. It takes the place of
// the URL, which may be long and hold what is to be kept by nobody. IDs are equal within a
// process only.
func URLID(u *url.URL) uint64 {
	var h maphash.Hash
	h.SetSeed(kindSeed)
	h.WriteString(u.Path)
	h.WriteByte('?')
	h.WriteString(u.RawQuery)
	return h.Sum64()
}
