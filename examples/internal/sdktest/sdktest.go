// Package sdktest holds what the tests of all three SDKs need.
package sdktest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// Main runs the tests apart from the environment: the SDKs read OKTA_* and
// ~/.okta/okta.yaml. (They may find the home directory without HOME; so tests
// set what matters by options, which come last.)
//
// Parallel tests run sixteen at a time, unless -parallel says otherwise: most of
// them wait.
func Main(m *testing.M) int {
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
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
	key, err := rsa.GenerateKey(rand.Reader, 1024) // of no use to a thief, and quick to make
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

// WantSync holds what the SDKs' examples print to a sync that met a rate limit: of
// all 250 users in 10 pages, each answered once. No 429 is met by a machine so slow
// that five pages outlast what is left of a window, a second at least.
func WantSync(t *testing.T, printed, sdk string) {
	t.Helper()
	var requests, limited int
	var seconds float64
	form := sdk + ": 250 users in %d requests, %d of them answered 429, %f s, no error.\n"
	if _, err := fmt.Sscanf(printed, form, &requests, &limited, &seconds); err != nil {
		t.Fatalf("printed %q, want %q: %v", printed, form, err)
	}
	if requests != 10+limited || limited > 9 || limited == 0 && seconds < 1 {
		t.Errorf("printed %q, want 10 requests and those answered 429, which are a few", printed)
	}
}

// Brisk returns the default policy with short waits where Okta names none.
func Brisk() oktaretry.Policy {
	p := oktaretry.DefaultPolicy()
	p.ServerError.InitialWait, p.ServerError.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	p.Network.InitialWait, p.Network.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	return p
}
