// This file lets the SDKs' clients live in the virtual time of testing/synctest.

package sdktest

import (
	"sync"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// URL is where a fake Okta in memory is: it answers for any host.
const URL = "https://acme.okta.com"

// NewOkta returns a fake Okta in memory that is as [oktatest.NewServer] makes it: with
// Okta's headers, and the test fails if it is asked for what it does not serve.
func NewOkta(t *testing.T, opts ...oktatest.Option) *oktatest.Okta {
	t.Helper()
	org := oktatest.New(append([]oktatest.Option{oktatest.WithOktaHeaders(true)}, opts...)...)
	t.Cleanup(func() {
		if unserved := org.Unserved(); len(unserved) > 0 {
			t.Errorf("the fake was asked for what it does not serve: %v", unserved)
		}
	})
	return org
}

// Outside returns what connect does, and runs it in a goroutine that belongs to no
// bubble of testing/synctest: an SDK's client starts a goroutine for its cache of
// tokens, which ends when the garbage collector finds the client, and no bubble ends
// before its last goroutine. The client itself may be used in a bubble. It is safe for
// concurrent use; connect must not end its goroutine, as t.Fatal does.
func Outside[C any](connect func() (C, error)) (client C, err error) {
	oneJob.Lock()
	defer oneJob.Unlock()
	jobs <- func() { client, err = connect() }
	<-jobDone
	return client, err
}

var (
	oneJob  sync.Mutex
	jobs    = make(chan func())
	jobDone = make(chan struct{})
)

func init() { // no bubble has begun yet
	go func() {
		for job := range jobs {
			job()
			jobDone <- struct{}{}
		}
	}()
}
