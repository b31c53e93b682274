// Package sidecar holds clients of Okta in other languages, which know nothing of
// oktaretry: what makes them survive is that OKTA_ORG_URL is the address of the sidecar.
//
//	oktaretry proxy --org https://acme.okta.com
//	OKTA_ORG_URL=http://127.0.0.1:8080 OKTA_API_TOKEN=… python3 sync.py
//
// The tests of examples/sdkv6 run all of them, and Okta's SDK, through rate limits, an
// outage, a push and restarts of the sidecar.
package sidecar
