// This file reads what a server says of itself.

package redistest

import (
	"strconv"
	"strings"
)

// callsOf returns how often a command was called, by INFO commandstats.
func callsOf(info, command string) int {
	_, rest, found := strings.Cut(info, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	number, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.Atoi(number)
	return n
}
