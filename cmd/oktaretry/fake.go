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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/oktaretry/oktaretry/oktatest"
)

// fakeOptions are the flags of the command fake.
type fakeOptions struct {
	host          string
	port          int
	token         string
	seed          string
	users, groups int
	scenarios     []string
	asJSON        bool
}

func newFake() *cobra.Command {
	var o fakeOptions
	cmd := &cobra.Command{
		Use:   "fake",
		Short: "Serve a fake Okta, for programs in any language",
		Long: `Serve a fake Okta org over HTTP: users, groups, push factors and a token endpoint, with
Okta's rate limits, headers and errors. It prints its address and an API token, and serves
until SIGTERM or an interrupt. What it keeps is in memory.

Scenarios, of which several can be named:
` + scenarioList() + `
A seed file has users and groups:

  users:
    - {login: ann@example.com, firstName: Ann, lastName: Lee, groups: [staff]}
    - {login: ben@example.com, status: SUSPENDED, profile: {department: sales}}
  groups:
    - {name: staff, description: Everyone}`,
		Example: `  oktaretry fake --port 8090 --users 250
  oktaretry fake --port 8090 --seed org.yaml --scenario quota-storm
  oktaretry fake --json | jq -r .url
  curl -H "Authorization: SSWS fake-token" http://127.0.0.1:8090/api/v1/users`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd) },
	}
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 0, "the `port` to listen at (default: a free one)")
	f.StringVar(&o.host, "host", "127.0.0.1", "the `address` to listen at")
	f.StringVar(&o.token, "token", "fake-token", "the API `token` that it accepts, beside those that its token endpoint issues")
	f.StringVar(&o.seed, "seed", "", "a YAML `file` of users and groups")
	f.IntVar(&o.users, "users", 0, "add `n` users, user00000@example.com and on")
	f.IntVar(&o.groups, "groups", 0, "add `n` groups, group 00000 and on")
	f.StringSliceVar(&o.scenarios, "scenario", nil, "what the org goes through: `names` from the list above")
	f.BoolVar(&o.asJSON, "json", false, "print the address and token as JSON, in one line")
	must(cmd.MarkFlagFilename("seed", "yaml", "yml", "json"))
	must(cmd.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions(scenarioNames(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// open makes the fake.
func (o *fakeOptions) open() (*oktatest.Okta, error) {
	played, err := scenariosNamed(o.scenarios)
	if err != nil {
		return nil, err
	}
	if o.users < 0 || o.groups < 0 {
		return nil, errors.New("--users and --groups: want 0 or more")
	}
	if strings.ContainsAny(o.token, " \t\r\n") || o.token == "" {
		return nil, errors.New("--token: want a word")
	}
	opts := []oktatest.Option{
		oktatest.WithOktaHeaders(true),
		oktatest.WithUsers(o.users), oktatest.WithGroups(o.groups), oktatest.RequireAuth("SSWS " + o.token), oktatest.WithJournal(0),
	}
	for _, s := range played {
		opts = append(opts, s.setUp...)
	}
	fake := oktatest.New(opts...)
	if o.seed != "" {
		s, err := readSeed(o.seed)
		if err != nil {
			return nil, err
		}
		if err := s.plant(fake); err != nil {
			return nil, fmt.Errorf("%s: %w", o.seed, err)
		}
	}
	return fake, nil
}

// serve serves the fake until the command's context ends.
func (o *fakeOptions) serve(cmd *cobra.Command) error {
	fake, err := o.open()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(o.port)))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	server := &http.Server{
		Handler:           fake,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends requests that hang
		ErrorLog:          log.New(io.Discard, "", 0),
		ReadHeaderTimeout: time.Minute,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := o.announce(cmd, listener.Addr().(*net.TCPAddr), fake); err != nil {
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
	if o.asJSON {
		return printLine(cmd, a)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "a fake Okta at %s with %d users and %d groups\n", bold(a.URL), a.Users, a.Groups)
	fmt.Fprintf(out, "Authorization: SSWS %s\n", a.Token)
	if len(a.Scenarios) > 0 {
		fmt.Fprintf(out, "scenario: %s\n", strings.Join(a.Scenarios, ", "))
	}
	_, err := fmt.Fprintln(out, faint("it ends by an interrupt or SIGTERM"))
	return err
}
