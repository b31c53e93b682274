// Package sdktest holds what the tests of all three SDKs need.
package sdktest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// Main runs the tests apart from the environment: the SDKs read OKTA_* and
// ~/.okta/okta.yaml. (They may find the home directory without HOME; so tests
// set what matters by options, which come last.)
func Main(m *testing.M) int {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OKTA_") {
			os.Unsetenv(name)
		}
	}
	home, err := os.MkdirTemp("", "oktaretry-home")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(home)
	os.Setenv("HOME", home)
	return m.Run()
}

// PrivateKey returns an RSA key in the form that all SDKs take, the same for
// the whole run.
var PrivateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// Wire writes down what arrived, all of it that a client decides, so that two
// runs can be compared.
func Wire(requests []oktatest.Request) string {
	var b strings.Builder
	for _, r := range requests {
		fmt.Fprintf(&b, "%s %s?%s\n", r.Method, r.Path, r.RawQuery)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(&b, "  %s: %q\n", name, r.Header[name])
		}
		fmt.Fprintf(&b, "  %s\n", r.Body)
	}
	return b.String()
}
