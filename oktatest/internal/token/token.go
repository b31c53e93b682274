// Package token makes access and ID tokens: JWTs signed with RS256, as Okta's are. The key is
// in the source, and the same in every process: it protects nothing.
package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
)

// KeyID names the key in a token's header and in Keys.
const KeyID = "oktatest-1"

// Claims of an access token, in Okta's order.
type Claims struct {
	Version   int           `json:"ver"`
	ID        string        `json:"jti"`
	Issuer    string        `json:"iss"`
	Audience  string        `json:"aud"`
	Subject   string        `json:"sub"`
	IssuedAt  int64         `json:"iat"`
	ExpiresAt int64         `json:"exp"`
	Client    string        `json:"cid"`
	User      string        `json:"uid,omitempty"`
	Scopes    []string      `json:"scp,omitempty"`
	SignedIn  int64         `json:"auth_time,omitempty"`
	Confirms  *Confirmation `json:"cnf,omitempty"`
}

// IDClaims are those of an ID token. Those of Profile stand beside them.
type IDClaims struct {
	Subject    string         `json:"sub"`
	Version    int            `json:"ver"`
	Issuer     string         `json:"iss"`
	Audience   string         `json:"aud"`
	IssuedAt   int64          `json:"iat"`
	ExpiresAt  int64          `json:"exp"`
	ID         string         `json:"jti"`
	Methods    []string       `json:"amr,omitempty"`
	Provider   string         `json:"idp"`
	Nonce      string         `json:"nonce,omitempty"`
	SignedIn   int64          `json:"auth_time"`
	AccessHash string         `json:"at_hash"`
	Profile    map[string]any `json:"-"`
}

// Confirmation names the key that a DPoP token is bound to.
type Confirmation struct {
	Thumbprint string `json:"jkt"`
}

// Key is a public key as the keys endpoint lists it.
type Key struct {
	Type      string `json:"kty"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Exponent  string `json:"e"`
	Modulus   string `json:"n"`
}

// The primes of the key.
const (
	primeP = "d5eb9873aa0af85e068ebe37cb9accfa0d6331ba4c49756987cae1c0f5310ca0fe9babdae39af16a98dba907ae03ee9d7bed7f1f3492dfc909b74517f56094f9609443539846b2696da099ab153eed95c90f79f96d0a5b218ea6e18888e28fee5a3cfcbe3e40fda689cde7eb51351990350a24e8a6e15f0ba68c05fd1adedaf9"
	primeQ = "c2082a4566229123f983f8c3ee17dc44494174f4d1a34896bd00290cfe3f0b895b88fb9c01b32c01173607d3da68a6e6c650939651a6722717a65db62755cf75f943254f07bf375a706acd93dfdca0f1aa2301135f91e16bec1b6fc9c5d348a19719db867d65943c293bc6454f2ae33550f649fac05a43a6b4bf513c0f507dc3"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	one := big.NewInt(1)
	p, _ := new(big.Int).SetString(primeP, 16)
	q, _ := new(big.Int).SetString(primeQ, 16)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	k.Precompute()
	return k
})

// Keys are the public keys that verify tokens.
func Keys() []Key {
	public := key().PublicKey
	return []Key{{
		Type: "RSA", Algorithm: "RS256", ID: KeyID, Use: "sig",
		Exponent: encode(big.NewInt(int64(public.E)).Bytes()),
		Modulus:  encode(public.N.Bytes()),
	}}
}

// Sign makes an access token.
func Sign(c Claims) string { return sign(marshal(c)) }

// SignID makes an ID token.
func SignID(c IDClaims) string {
	claims := marshal(c)
	if len(c.Profile) > 0 {
		claims = append(append(claims[:len(claims)-1], ','), marshal(c.Profile)[1:]...)
	}
	return sign(claims)
}

func marshal(claims any) []byte {
	b, err := json.Marshal(claims)
	if err != nil {
		panic("oktatest: " + err.Error()) // text, numbers and what has been JSON
	}
	return b
}

func sign(claims []byte) string {
	signed := encode([]byte(`{"kid":"`+KeyID+`","alg":"RS256"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key(), crypto.SHA256, digest[:])
	if err != nil {
		panic("oktatest: " + err.Error()) // the key is good
	}
	return signed + "." + encode(signature)
}

// ClientOf is the client that a client assertion speaks for: its sub; empty if it is no
// JWT. Nothing is verified.
func ClientOf(assertion string) string {
	var c Claims
	decode(assertion, 1, &c)
	return c.Subject
}

// Thumbprint is that of the key in the header of a DPoP proof (RFC 7638); nil if it has none.
func Thumbprint(proof string) *Confirmation {
	var header struct {
		Key map[string]string `json:"jwk"`
	}
	decode(proof, 0, &header)
	members := map[string][]string{"RSA": {"e", "kty", "n"}, "EC": {"crv", "kty", "x", "y"}}[header.Key["kty"]]
	if members == nil {
		return nil
	}
	required := map[string]string{}
	for _, m := range members {
		required[m] = header.Key[m]
	}
	canonical, err := json.Marshal(required) // sorted, without blanks
	if err != nil {
		return nil
	}
	digest := sha256.Sum256(canonical)
	return &Confirmation{encode(digest[:])}
}

// decode reads a part of a JWT, as far as it can be read.
func decode(jwt string, part int, v any) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return
	}
	if b, err := base64.RawURLEncoding.DecodeString(parts[part]); err == nil {
		json.Unmarshal(b, v) // what does not fit stays empty
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
