// Package identity finds out whom Okta counts a request for: the client of its
// token and, at the login endpoints, the session, device and address that it
// comes from. What it returns is for hashing, never for showing.
package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"
)

// Client returns what Okta counts the calls of an Authorization header for: issuer
// and client of a token that is a JWT, for each process and each hour has another
// token of the same app; else the header itself.
func Client(authorization string) string {
	_, token, _ := strings.Cut(authorization, " ")
	_, rest, _ := strings.Cut(token, ".")
	payload, _, isJWT := strings.Cut(rest, ".")
	if !isJWT || len(payload) > 16<<10 {
		return authorization
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return authorization
	}
	var claims struct {
		Issuer string `json:"iss"`
		Client string `json:"cid"`
	}
	if json.Unmarshal(text, &claims) != nil || claims.Client == "" {
		return authorization
	}
	return claims.Issuer + " " + claims.Client
}

// Caller returns what tells the callers of a login endpoint apart beside their
// credential; "" for none. Okta limits each client by client id, IP address and
// device token, and each session by its cookie, and says that no other users are
// affected: https://developer.okta.com/docs/reference/rl2-client-based/.
func Caller(req *http.Request) string {
	var b strings.Builder
	add := func(name string, values []string) {
		for _, v := range values {
			b.WriteString(name + "\x00" + v + "\x00")
		}
	}
	add("device", req.Header["X-Device-Token"])
	add("address", req.Header["X-Forwarded-For"])
	if len(req.Header["Cookie"]) > 0 {
		for _, c := range req.Cookies() {
			switch c.Name {
			case "sid", "idx", "DT": // the sessions' and the device's
				add(c.Name, []string{c.Value})
			}
		}
	}
	if strings.Contains(req.URL.RawQuery, "client_id=") {
		add("client", req.URL.Query()["client_id"])
	}
	return b.String()
}

// Keys turns identities into numbers that mean nothing outside this process. It is
// safe for concurrent use.
type Keys struct {
	seed   maphash.Seed
	recent [recentTokens]atomic.Pointer[token]
}

// recentTokens is a power of two, and more tokens than most programs hold at once.
const recentTokens = 1 << 6

// token is a JWT's key and that of its client. Decoding one takes some microseconds.
type token struct{ key, client uint64 }

// Of one process all Keys have one secret, so that a label means the same everywhere.
var (
	seed     = maphash.MakeSeed()
	labelKey = rand.Text()
)

// NewKeys returns Keys of the process's secret.
func NewKeys() *Keys { return &Keys{seed: seed} }

// Label returns what to show for a key, 8 hexadecimal digits: nobody finds the key, or
// its identity, from it, for it is a hash (HMAC-SHA-256) by a random secret of this
// process. It is "" for the key of no identity.
func (k *Keys) Label(key uint64) string {
	if key == k.Of("", "") {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(labelKey))
	mac.Write(binary.BigEndian.AppendUint64(nil, key))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// Of returns the key of an Authorization header and a caller.
func (k *Keys) Of(authorization, caller string) uint64 {
	key := maphash.String(k.seed, authorization)
	if strings.IndexByte(authorization, '.') >= 0 {
		key = k.client(key, authorization)
	}
	if caller != "" {
		key = maphash.Comparable(k.seed, [2]uint64{key, maphash.String(k.seed, caller)})
	}
	return key
}

// client returns the key of the client of a token with a key.
func (k *Keys) client(key uint64, authorization string) uint64 {
	slot := &k.recent[key%recentTokens]
	if t := slot.Load(); t != nil && t.key == key {
		return t.client
	}
	client := maphash.String(k.seed, Client(authorization))
	slot.Store(&token{key, client})
	return client
}
