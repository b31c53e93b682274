// This file gets access tokens by a private key: OAuth 2.0 client credentials, with an
// assertion of RFC 7523.

package sidecar

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"

	"github.com/oktaretry/oktaretry"
)

// PrivateKeyConfig names an OAuth service app.
type PrivateKeyConfig struct {
	ClientID string
	// KeyFile holds the private key: PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK. It is read
	// for each token, so a new key needs no restart.
	KeyFile string
	// KeyID is the key's id at Okta. "": that of the JWK, if it is one.
	KeyID  string
	Scopes []string
}

// PrivateKey returns the credential of a service app: its access tokens are fetched from
// the org's /oauth2/v1/token, kept, and renewed after four fifths of their lifetime.
func PrivateKey(c PrivateKeyConfig) (Credential, error) {
	switch {
	case c.ClientID == "":
		return nil, errors.New("sidecar: a private key needs a client id")
	case len(c.Scopes) == 0:
		return nil, errors.New("sidecar: a private key needs scopes")
	}
	k := &privateKey{config: c}
	if _, err := k.signer(); err != nil {
		return nil, err
	}
	return k, nil
}

// privateKey is a Credential. Its tokens are of type Bearer.
type privateKey struct {
	config   PrivateKeyConfig
	client   *http.Client
	endpoint string
	logger   *slog.Logger
	current  atomic.Pointer[accessToken]
	fetches  singleflight.Group
	retryAt  atomic.Int64 // of renewals: not before, in Unix nanoseconds
}

type accessToken struct {
	authorization string
	renewAt       time.Time
	expires       time.Time
}

const (
	fetchTimeout  = time.Minute
	assertionLife = 5 * time.Minute
	early         = 10 * time.Second // before its end a token counts as expired
	renewEvery    = 10 * time.Second // where renewals fail
)

func (k *privateKey) attach(client *http.Client, origin string, logger *slog.Logger) {
	k.client, k.endpoint, k.logger = client, origin+"/oauth2/v1/token", logger
}

func (k *privateKey) known() string {
	if t := k.current.Load(); t != nil {
		return t.authorization
	}
	return ""
}

func (k *privateKey) rejected(authorization string) {
	if t := k.current.Load(); t != nil && t.authorization == authorization {
		k.current.CompareAndSwap(t, nil)
	}
}

// authorization returns a token, and renews it in the background while it is still good.
func (k *privateKey) authorization(ctx context.Context) (string, error) {
	now := time.Now()
	if t := k.current.Load(); t != nil && now.Before(t.expires) {
		if now.After(t.renewAt) && now.UnixNano() > k.retryAt.Load() {
			k.retryAt.Store(now.Add(renewEvery).UnixNano())
			k.fetches.DoChan("", k.fetch)
		}
		return t.authorization, nil
	}
	select {
	case r := <-k.fetches.DoChan("", k.fetch):
		if r.Err != nil {
			return "", r.Err
		}
		return r.Val.(*accessToken).authorization, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// fetch gets a token for all that wait for one; so no client's context ends it.
func (k *privateKey) fetch() (any, error) {
	t, err := k.request()
	if err != nil {
		err = tokenErrorOf(err)
		k.logger.Error("no access token", slog.String("problem", err.Error()))
		return nil, err
	}
	k.current.Store(t)
	k.logger.Info("access token renewed", slog.Time("expires", t.expires))
	return t, nil
}

func (k *privateKey) request() (*accessToken, error) {
	assertion, err := k.assertion()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	config := clientcredentials.Config{
		ClientID: k.config.ClientID, TokenURL: k.endpoint, Scopes: k.config.Scopes, AuthStyle: oauth2.AuthStyleInParams,
		EndpointParams: url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {assertion},
		},
	}
	began := time.Now()
	token, err := config.Token(context.WithValue(ctx, oauth2.HTTPClient, k.client))
	if err != nil {
		return nil, err
	}
	life := token.Expiry.Sub(began)
	if token.Expiry.IsZero() {
		life = time.Minute
	}
	return &accessToken{token.Type() + " " + token.AccessToken, began.Add(life * 4 / 5), began.Add(life - early)}, nil
}

// assertion returns a JWT that proves possession of the key once. It has no iat, by which
// a local clock that is ahead would spoil it.
func (k *privateKey) assertion() (string, error) {
	signer, err := k.signer()
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: k.config.ClientID, Subject: k.config.ClientID, Audience: jwt.Audience{k.endpoint}, ID: rand.Text(),
		Expiry: jwt.NewNumericDate(time.Now().Add(assertionLife)),
	}).Serialize()
}

func (k *privateKey) signer() (jose.Signer, error) {
	text, err := os.ReadFile(k.config.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("sidecar: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("sidecar: %s: %w", k.config.KeyFile, err)
	}
	if k.config.KeyID != "" {
		key.KeyID = k.config.KeyID
	}
	algorithm, err := algorithmFor(key.Key)
	if err != nil {
		return nil, fmt.Errorf("sidecar: %s: %w", k.config.KeyFile, err)
	}
	return jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
}

var errKey = errors.New("not a private key in PEM or JWK")

// parseKey reads a key, without a word of it in the error.
func parseKey(text []byte) (jose.JSONWebKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(text); err != nil || key.IsPublic() || !key.Valid() {
			return key, errKey
		}
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	return jose.JSONWebKey{}, errKey
}

// algorithmFor returns the algorithm that Okta takes for a key.
func algorithmFor(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	}
	return "", errors.New("neither an RSA nor an EC key")
}

// tokenError is why there is no access token, in known words: what Okta answers may hold
// the client's id.
type tokenError struct {
	problem string
	cause   error
}

func (e *tokenError) Error() string { return "sidecar: no access token: " + e.problem }
func (e *tokenError) Unwrap() error { return e.cause }

func tokenErrorOf(err error) error {
	var (
		refused *oauth2.RetrieveError
		limited *oktaretry.RateLimitError
		open    *oktaretry.CircuitOpenError
	)
	switch {
	case errors.As(err, &limited):
		return &tokenError{"rate limited", limited}
	case errors.As(err, &open):
		return &tokenError{"circuit open", open}
	case errors.As(err, &refused):
		problem := "refused"
		if refused.Response != nil {
			problem = fmt.Sprintf("refused with %d", refused.Response.StatusCode)
		}
		if info, ok := oktaretry.Lookup(refused.ErrorCode); ok {
			problem += " " + info.Code
		}
		return &tokenError{problem, nil}
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, errKey):
		return &tokenError{"the key file cannot be read", nil}
	}
	return &tokenError{"no answer", nil}
}
