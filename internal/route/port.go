// This file finds the port that a URL leads to.

package route

import (
	"net/url"
	"strconv"
)

// Port returns the port that a URL leads to: the one it names, else the usual one of its scheme, 80 for http and 443 for
// all others.
func Port(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
