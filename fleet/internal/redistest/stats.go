// This file reads what a server says of itself.

package redistest

import (
	"context"
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

// CPU returns for how many seconds the server at addr has used a core.
func CPU(ctx context.Context, addr string) (seconds float64, err error) {
	c := Client(addr)
	defer c.Close()
	text, err := c.Info(ctx, "cpu").Result()
	for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
		_, rest, _ := strings.Cut(text, "\r\n"+name)
		number, _, _ := strings.Cut(rest, "\r\n")
		n, _ := strconv.ParseFloat(number, 64)
		seconds += n
	}
	return seconds, err
}
