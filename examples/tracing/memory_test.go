package main

// This file holds what is around the program in a test: a network in memory, so that
// time can be virtual.

import (
	"context"
	"fmt"
	"net/http"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

// The hosts of the network.
const (
	orgHost       = "acme.okta.com"
	metricsHost   = "127.0.0.1:9464"
	collectorHost = "collector:4318"
)

// network is a network in memory: who answers, by host.
type network map[string]http.RoundTripper

func (n network) RoundTrip(req *http.Request) (*http.Response, error) {
	host := n[req.URL.Host]
	if host == nil {
		return nil, fmt.Errorf("no host %s", req.URL.Host)
	}
	return host.RoundTrip(req)
}

// surroundings are a network with a fake Okta in it.
func (n network) surroundings() surroundings {
	org := oktatest.New(smallOrg()...)
	n[orgHost] = org.Transport()
	return surroundings{
		org: org, orgURL: "https://" + orgHost, network: n, connect: connectOutside,
		serve: func(h http.Handler) (string, func() error, error) {
			n[metricsHost] = oktatest.NewTransport(h)
			return "http://" + metricsHost, func() error { return nil }, nil
		},
	}
}

// connectOutside sets up the SDK for a bubble.
func connectOutside(ctx context.Context, transport http.RoundTripper, settings ...okta.ConfigSetter) (*okta.APIClient, error) {
	return sdktest.Outside(func() (*okta.APIClient, error) {
		return oktav6.NewClient(context.WithoutCancel(ctx), transport, settings...)
	})
}
