// This file holds the tests that docs/testing.md shows.

package oktatest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

const acme = "https://acme.okta.com"

// newClient is the client that the program under test gets: the library, on the fake.
func newClient(t *testing.T, okta *oktatest.Okta) *http.Client {
	transport, err := oktaretry.NewTransport(okta.Transport())
	if err != nil {
		t.Fatal(err)
	}
	return transport.Client()
}

// countUsers is a program under test: it reads the list of users.
func countUsers(client *http.Client) (int, error) {
	resp, err := client.Get(acme + "/api/v1/users")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("list users: %s", resp.Status)
	}
	var users []any
	err = json.NewDecoder(resp.Body).Decode(&users)
	return len(users), err
}

func TestMirrorOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outage := oktatest.EdgeOutage(10 * time.Minute).From(5 * time.Minute)
		okta := oktatest.New(oktatest.WithUsers(3), oktatest.WithDay(outage))
		client := newClient(t, okta)

		start, last, longest := time.Now(), time.Now(), time.Duration(0)
		for time.Since(start) < 30*time.Minute { // the program: a mirror that is brought up to date each minute
			if n, err := countUsers(client); err == nil && n == 3 {
				longest = max(longest, time.Since(last))
				last = time.Now()
			}
			time.Sleep(time.Minute)
		}
		if longest < 10*time.Minute || longest > 12*time.Minute {
			t.Errorf("the mirror was out of date for %s, want as long as the outage and 2 minutes at most", longest)
		}
	})
}

func TestSyncWaitsForTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktatest.New(oktatest.WithUsers(3), oktatest.WithLatency(50*time.Millisecond))
		okta.Script("GET /api/v1/users", oktatest.RateLimited(40*time.Second))

		start := time.Now()
		if n, err := countUsers(newClient(t, okta)); err != nil || n != 3 {
			t.Errorf("%d users, %v", n, err)
		}
		if took := time.Since(start); took < 40*time.Second || took > time.Minute {
			t.Errorf("it took %s", took)
		}
		okta.AssertNothingBeforeReset(t)
	})
}

// ensureOne creates a user unless there is one. A search may be late, so it does not count
// on it: a create that is refused because the login is taken is a success.
func ensureOne(client *http.Client, login string) error {
	search := url.Values{"search": {`profile.login eq "` + login + `"`}}
	resp, err := client.Get(acme + "/api/v1/users?" + search.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var found []any
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || len(found) > 0 {
		return err
	}
	user := `{"profile": {"login": "` + login + `", "email": "` + login + `", "firstName": "Ann", "lastName": "Lee"}}`
	made, err := client.Post(acme+"/api/v1/users", "application/json", strings.NewReader(user))
	if err != nil {
		return err
	}
	defer made.Body.Close()
	taken := oktaretry.Classify(made).Code == "E0000001"
	if _, err := io.Copy(io.Discard, made.Body); err != nil {
		return err // a broken answer: the user may be there or not
	}
	if made.StatusCode == http.StatusOK || taken {
		return nil
	}
	return fmt.Errorf("create %s: %s", login, made.Status)
}

func TestALateSearchMakesNoSecondUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktatest.New(oktatest.WithLag(1, oktatest.LateReads{
			Patterns: []string{"GET /api/v1/users"}, Chance: 1, UpTo: time.Hour}))
		client := newClient(t, okta)

		for range 2 { // the second search is late: it misses the user of the first
			if err := ensureOne(client, "ann@example.com"); err != nil {
				t.Error(err)
			}
		}
		if n, created := len(okta.UserIDs()), okta.Count("POST /api/v1/users"); n != 1 || created != 2 {
			t.Errorf("%d users after %d creates, want 1 after 2: was no search late?", n, created)
		}
	})
}

// approve sends a push, and waits until its user has answered.
func approve(client *http.Client, user, factor string) (result string, err error) {
	var push struct {
		FactorResult string
		Links        struct{ Poll struct{ Href string } } `json:"_links"`
	}
	resp, err := client.Post(acme+"/api/v1/users/"+user+"/factors/"+factor+"/verify", "application/json", nil)
	for err == nil {
		err = json.NewDecoder(resp.Body).Decode(&push)
		resp.Body.Close()
		if err != nil || push.FactorResult != "WAITING" {
			break
		}
		time.Sleep(4 * time.Second)
		resp, err = client.Get(push.Links.Poll.Href)
	}
	return push.FactorResult, err
}

func TestAPushThatNobodyAnswersTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithFactorResult("TIMEOUT", -1)) // waits for ever
		start := time.Now()
		result, err := approve(newClient(t, okta), "user00000@example.com", "opf1")
		if result != "TIMEOUT" || err != nil {
			t.Errorf("%q, %v", result, err)
		}
		if took := time.Since(start); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("it took %s, want Okta's 5 minutes", took)
		}
		if n := okta.Pushes(); n != 1 {
			t.Errorf("%d pushes were sent, want 1", n)
		}
	})
}

func TestAnOutageDoublesNoCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		creates := "POST /api/v1/users"
		okta := oktatest.New(oktatest.WithDay(
			oktatest.EdgeOutage(time.Minute).On(creates),
			oktatest.BrokenBodies().On(creates).From(time.Minute).For(10*time.Second).Every(1)))
		client := newClient(t, okta)

		for attempt := 0; ensureOne(client, "ann@example.com") != nil && attempt < 60; attempt++ {
			time.Sleep(5 * time.Second)
		}
		if _, _, ok := okta.User("ann@example.com"); !ok {
			t.Error("the user was not created")
		}
		okta.AssertNoDuplicateCreates(t)
	})
}

// step is Okta's answer in the course of a sign-in.
type step struct {
	Status, StateToken, SessionToken, FactorResult, ErrorCode string

	Embedded struct {
		Factors []struct {
			FactorType string
			Links      struct{ Verify struct{ Href string } } `json:"_links"`
		}
	} `json:"_embedded"`
	Links struct{ Next struct{ Href string } } `json:"_links"`
}

// post takes a sign-in one step on.
func post(client *http.Client, url string, body map[string]string) (s step, err error) {
	sent, err := json.Marshal(body)
	if err != nil {
		return s, err
	}
	resp, err := client.Post(url, "application/json", bytes.NewReader(sent))
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s, err
}

// signIn is a login back end: a password and, if Okta asks for one, a push.
func signIn(client *http.Client, name, password string) (sessionToken string, err error) {
	s, err := post(client, acme+"/api/v1/authn", map[string]string{"username": name, "password": password})
	state := map[string]string{"stateToken": s.StateToken}
	for _, factor := range s.Embedded.Factors {
		if err == nil && s.Status == "MFA_REQUIRED" && factor.FactorType == "push" {
			s, err = post(client, factor.Links.Verify.Href, state)
		}
	}
	for err == nil && s.FactorResult == "WAITING" {
		time.Sleep(4 * time.Second)
		s, err = post(client, s.Links.Next.Href, state)
	}
	if err == nil && s.Status != "SUCCESS" {
		err = fmt.Errorf("not signed in: %s %s %s", s.Status, s.FactorResult, s.ErrorCode)
	}
	return s.SessionToken, err
}

func TestALoginBackEndSparesItsUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ann, ben, mallory = "user00000@example.com", "user00001@example.com", "user00002@example.com"
		okta := oktatest.New(oktatest.WithUsers(3), oktatest.RequireMFA(ben),
			oktatest.WithFactorResult("SUCCESS", 5), oktatest.WithLimits(oktatest.LimitPerUserName))
		client := newClient(t, okta)

		if _, err := signIn(client, ann, "wrong"); err == nil {
			t.Error("a wrong password has signed ann in")
		}
		if n := okta.Count("POST /api/v1/authn"); n != 1 {
			t.Errorf("the wrong password was sent %d times: ten lock a user out", n)
		}

		if token, err := signIn(client, ben, oktatest.UserPassword); err != nil || token == "" {
			t.Error(err)
		}
		if pushes, polls := okta.Pushes(), okta.Count("POST /api/v1/authn/factors/{id}/verify")-1; pushes != 1 || polls != 6 {
			t.Errorf("%d pushes and %d polls, want 1 and 6", pushes, polls)
		}

		var guesses sync.WaitGroup
		for range 8 { // Okta lets one user name in 4 times a second
			guesses.Go(func() { signIn(client, mallory, "guess") })
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		if _, err := signIn(client, ann, oktatest.UserPassword); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second/2 || okta.RefusedBy(oktatest.LimitPerUserName.Name) == 0 {
			t.Errorf("ann waited %s for mallory", took)
		}
		guesses.Wait()
	})
}
