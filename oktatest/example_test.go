package oktatest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// A program, or an example, starts a server and closes it itself; a test calls
// NewServer.
func Example() {
	srv := oktatest.StartServer(oktatest.WithUsers(3))
	defer srv.Close()

	srv.Script("GET /api/v1/users",
		oktatest.Code("E0000009"),
		oktatest.EdgePage(503),
		oktatest.RateLimited(2*time.Second))

	for range 4 {
		resp, err := srv.Client().Get(srv.URL + "/api/v1/users?limit=2")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	fmt.Println(srv.Count("GET /api/v1/users"), "requests")
	// Output:
	// 500 Internal Server Error
	// 503 Service Unavailable
	// 429 Too Many Requests
	// 200 OK
	// 4 requests
}

// In memory the fake needs no port; under testing/synctest its waits take no
// time.
func ExampleOkta_Transport() {
	okta := oktatest.New(oktatest.WithUsers(1))
	client := &http.Client{Transport: okta.Transport()}

	resp, err := client.Get("https://acme.okta.com/api/v1/users/user00000@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

func ExampleOkta_Script() {
	okta := oktatest.New()
	client := &http.Client{Transport: okta.Transport()}

	script := okta.Script("POST /api/v1/users",
		oktatest.Times(2, oktatest.Code("E0000010").WithHeader("Retry-After", "1")),
		oktatest.EOF)
	for script.Left() > 0 {
		resp, err := client.Post("https://acme.okta.com/api/v1/users", "application/json", strings.NewReader("{}"))
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(resp.StatusCode, strings.Contains(string(body), "read only mode"))
	}
	// Output:
	// 503 true
	// 503 true
	// Post "https://acme.okta.com/api/v1/users": EOF
}

func ExampleOkta_Consume() {
	okta := oktatest.New(
		oktatest.WithLimit("GET /api/v1/users", 600),
		oktatest.WithWindow(24*time.Hour, 0))
	client := &http.Client{Transport: okta.Transport()}

	okta.Consume("GET /api/v1/users", 590) // by the org's other programs
	resp, err := client.Get("https://acme.okta.com/api/v1/users")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Header.Get("X-Rate-Limit-Remaining"), "of", resp.Header.Get("X-Rate-Limit-Limit"))
	// Output: 9 of 600
}

// One user name has used up its four logins: nobody else is refused.
func ExampleWithLimits() {
	perName := oktatest.LimitPerUserName
	perName.Window = time.Hour // Okta's second would be over too soon here
	okta := oktatest.New(oktatest.WithLimits(perName))
	client := &http.Client{Transport: okta.Transport()}

	for _, name := range []string{"mallory", "mallory", "mallory", "mallory", "mallory", "alice"} {
		resp, err := client.Post("https://acme.okta.com/api/v1/authn", "application/json",
			strings.NewReader(`{"username":"`+name+`"}`))
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	for _, r := range okta.Requests() {
		if r.RefusedBy != "" {
			fmt.Printf("%s, by %q\n", r.Body, r.RefusedBy)
		}
	}
	// Output: {"username":"mallory"}, by "logins of a user name"
}

func ExampleCode() {
	c, _ := oktatest.LookupCode("E0000100")
	fmt.Println(c.Status, c.Summary)
	// Output: 503 Unable to perform search query.
}

// Okta cannot be reached, as its edge says in HTML, until the test ends the day.
func ExampleEdgeOutage() {
	okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(oktatest.EdgeOutage(5*time.Minute)))
	client := &http.Client{Transport: okta.Transport()}

	resp, err := client.Get("https://acme.okta.com/api/v1/users")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))
	fmt.Println("ended:", okta.EndDays("edge-outage"))
	// Output:
	// 503 Service Unavailable text/html; charset=utf-8
	// ended: 1
}
