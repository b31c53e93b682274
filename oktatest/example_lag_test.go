package oktatest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// ensureUser returns a user's id, and creates the user if there is none. A search alone cannot
// tell: it may be late. So a create that is refused because the login exists is good news, and
// the user is read by its login, which is never late.
func ensureUser(client *http.Client, org, login string) (id string, err error) {
	var found []struct{ ID string }
	query := url.QueryEscape(`profile.login eq "` + login + `"`)
	if _, err := call(client, http.MethodGet, org+"/api/v1/users?search="+query, "", &found); err != nil {
		return "", err
	}
	if len(found) > 0 {
		return found[0].ID, nil
	}
	var made struct{ ID, ErrorCode string }
	status, err := call(client, http.MethodPost, org+"/api/v1/users",
		`{"profile":{"login":"`+login+`","email":"`+login+`","firstName":"A","lastName":"B"}}`, &made)
	if err != nil || status == http.StatusOK {
		return made.ID, err
	}
	if made.ErrorCode != "E0000001" {
		return "", fmt.Errorf("create: %s", made.ErrorCode)
	}
	_, err = call(client, http.MethodGet, org+"/api/v1/users/"+url.PathEscape(login), "", &made)
	return made.ID, err
}

func call(client *http.Client, method, url, body string, into any) (status int, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}

// A program that looks for a user before it creates one meets the duplicate sooner or later:
// the search misses the user whom it created a moment ago. Here each search is late, by up to
// an hour.
func ExampleWithLag() {
	okta := oktatest.New(oktatest.WithLag(1, oktatest.LateReads{
		Patterns: []string{"GET /api/v1/users"}, Chance: 1, UpTo: time.Hour}))
	client := &http.Client{Transport: okta.Transport()}

	for range 2 {
		id, err := ensureUser(client, "https://acme.okta.com", "ann@example.com")
		_, _, exists := okta.User(id)
		fmt.Println(exists, err)
	}
	fmt.Println(len(okta.UserIDs()), "user,", okta.Count("POST /api/v1/users"), "creates,", okta.Answered(400), "refused: the login exists")
	// Output:
	// true <nil>
	// true <nil>
	// 1 user, 2 creates, 1 refused: the login exists
}
