// This file is the command fake: the fake Okta as a server.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktatest/control"
	"github.com/oktaretry/oktaretry/policyfile/orgfile"
)

// fakeOptions are the flags of the command fake.
type fakeOptions struct {
	host          string
	port          int
	token         string
	seed          string
	users, groups int
	scenarios     []string
	control       string
	journal       int
	asJSON        bool
}

func newFake() *cobra.Command {
	var o fakeOptions
	cmd := &cobra.Command{
		Use:   "fake",
		Short: "Serve a fake Okta, for programs in any language",
		Long: `Serve a fake Okta org over HTTP: Okta's API with its state, rate limits, headers and
errors. It prints its address and an API token, and serves until SIGTERM or an interrupt.
What it keeps is in memory.

Scenarios, of which any number can be combined:
` + scenarioList(false) + `
Bad days, which are scenarios too:
` + scenarioList(true) + `
A seed file, YAML or JSON, says what the org holds from the start:

  users:
    - {login: ann@example.com, firstName: Ann, lastName: Lee, groups: [staff]}
    - {login: ben@example.com, status: SUSPENDED, profile: {department: sales}}
  groups:
    - {name: staff, description: all of us}
  requests: # of an administrator who sets up the rest
    - {path: /api/v1/apps, body: {name: bookmark, label: Wiki, signOnMode: BOOKMARK}, as: wiki}
    - {method: PUT, path: "/api/v1/apps/{wiki}/groups/{groups.staff}"}
  limits: {GET /api/v1/users: 50}

Users sign in at /api/v1/authn with the password ` + oktatest.UserPassword + `, or that of their
credentials: {password: {value: …}}; with mfa: true they prove a factor as well.

Below /_oktatest/ is a control API, by which tests in any language script answers, begin
and end bad days, set limits and the clock, read what arrived, and go back to the seed.
Its calls count for no limit. GET /_oktatest/ lists them; docs/testing.md shows them used.`,
		Example: `  oktaretry fake --port 8090 --users 250
  oktaretry fake --port 8090 --seed org.yaml --scenario quota-storm,outage
  oktaretry fake --json | jq -r .url
  curl -H "Authorization: SSWS fake-token" http://127.0.0.1:8090/api/v1/users
  curl -d '{"pattern": "GET /api/v1/users", "steps": [{"rateLimited": "2s"}]}' \
    http://127.0.0.1:8090/_oktatest/scripts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd) },
	}
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 0, "the `port` to listen at (default: a free one)")
	f.StringVar(&o.host, "host", "127.0.0.1", "the `address` to listen at")
	f.StringVar(&o.token, "token", "fake-token", "the API `token` that it accepts, beside those that its token endpoint issues")
	f.StringVar(&o.seed, "seed", "", "a YAML or JSON `file` of users, groups and more")
	f.IntVar(&o.users, "users", 0, "add `n` users, user00000@example.com and on")
	f.IntVar(&o.groups, "groups", 0, "add `n` groups, group 00000 and on")
	f.StringSliceVar(&o.scenarios, "scenario", nil, "what the org goes through: `names` from the list above")
	f.StringVar(&o.control, "control", "loopback", "from `where` the control API can be called: loopback, anywhere, off")
	f.IntVar(&o.journal, "journal", 10_000, "keep the last `n` requests for the control API")
	f.BoolVar(&o.asJSON, "json", false, "print the address and token as JSON, in one line")
	must(cmd.MarkFlagFilename("seed", "yaml", "yml", "json"))
	must(cmd.RegisterFlagCompletionFunc("control", cobra.FixedCompletions(controls, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(scenarioNames(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// controls are from where the control API can be called.
var controls = []string{"loopback", "anywhere", "off"}

// options returns those of the fake.
func (o *fakeOptions) options(played []scenario) ([]oktatest.Option, error) {
	switch {
	case o.users < 0 || o.groups < 0:
		return nil, errors.New("--users and --groups: want 0 or more")
	case o.journal < 0:
		return nil, errors.New("--journal: want 0 or more")
	case strings.ContainsAny(o.token, " \t\r\n") || o.token == "":
		return nil, errors.New("--token: want a word")
	case !slices.Contains(controls, o.control):
		return nil, fmt.Errorf("--control %s: want one of %s", o.control, strings.Join(controls, ", "))
	}
	opts := []oktatest.Option{
		oktatest.WithOktaHeaders(true),
		oktatest.WithUsers(o.users), oktatest.WithGroups(o.groups), oktatest.RequireAuth("SSWS " + o.token), oktatest.WithJournal(o.journal),
	}
	for _, s := range played {
		opts = append(opts, s.setUp...)
	}
	if o.seed == "" {
		return opts, nil
	}
	seed, err := orgfile.Read(o.seed)
	if err != nil {
		return nil, err
	}
	if err := oktatest.New(opts...).Plant(seed); err != nil { // beside --users and --groups
		return nil, fmt.Errorf("%s: %w", o.seed, err)
	}
	return append(opts, oktatest.WithSeed(seed)), nil
}

// open returns the handler that serves the fake.
func (o *fakeOptions) open() (*control.Handler, error) {
	played, err := scenariosNamed(o.scenarios)
	if err != nil {
		return nil, err
	}
	opts, err := o.options(played)
	if err != nil {
		return nil, err
	}
	return control.New(func() *oktatest.Okta { return oktatest.New(opts...) }, o.controlOptions()...), nil
}

func (o *fakeOptions) controlOptions() (opts []control.Option) {
	if o.control == "anywhere" {
		opts = append(opts, control.FromAnywhere())
	}
	return opts
}

// serve serves the fake until the command's context ends.
func (o *fakeOptions) serve(cmd *cobra.Command) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	org, err := o.open()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		return err
	}
	var handler http.Handler = org
	if o.control == "off" {
		handler = org.Okta()
	}
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends requests that hang
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := o.announce(cmd, listener.Addr().(*net.TCPAddr), org.Okta()); err != nil {
		server.Close()
		return err
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = closeServer(server)
		<-ended
	}
	return err
}

// closeServer lets answers under way be sent, for a second.
func closeServer(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		return server.Close()
	}
	return nil
}

// announced is what --json prints.
type announced struct {
	URL       string   `json:"url"`
	Host      string   `json:"host"`
	Port      int      `json:"port"`
	Token     string   `json:"token"`
	Control   string   `json:"control"` // "" without a control API
	Users     int      `json:"users"`
	Groups    int      `json:"groups"`
	Scenarios []string `json:"scenarios"`
}

func (o *fakeOptions) announce(cmd *cobra.Command, at *net.TCPAddr, fake *oktatest.Okta) error {
	host := o.host
	if at.IP.IsUnspecified() || host == "" {
		host = "127.0.0.1"
	}
	a := announced{
		URL: "http://" + net.JoinHostPort(host, strconv.Itoa(at.Port)), Host: host, Port: at.Port, Token: o.token,
		Users: len(fake.UserIDs()), Groups: len(fake.GroupIDs()), Scenarios: append([]string{}, o.scenarios...),
	}
	if o.control != "off" {
		a.Control = a.URL + control.Prefix
	}
	if o.asJSON {
		return printLine(cmd, a)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "a fake Okta at %s with %d users and %d groups\n", bold(a.URL), a.Users, a.Groups)
	fmt.Fprintf(out, "Authorization: SSWS %s\n", a.Token)
	if a.Control != "" {
		fmt.Fprintf(out, "control API: %s\n", a.Control)
	}
	if len(a.Scenarios) > 0 {
		fmt.Fprintf(out, "scenario: %s\n", strings.Join(a.Scenarios, ", "))
	}
	_, err := fmt.Fprintln(out, faint("it ends by an interrupt or SIGTERM"))
	return err
}
