// This file reads the program's own /metrics and prints the lines that tell
// most.

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
)

// telling are the lines that answer most questions. A dashboard of all metrics
// is in ../../observability.
var telling = regexp.MustCompile(`^oktaretry_(` +
	`call_duration_seconds_count{.*oktaretry_stop="(deadline|circuit-open|fail-fast)"|` +
	`wait_duration_seconds_sum|rate_limit_refusals_total|polls_total|circuit_changes_total|` +
	`bucket_(limit|remaining|utilization_ratio)|retry_budget_remaining)`)

// leftOut are labels that are the same in all lines.
var leftOut = regexp.MustCompile(`(server_address|server_port|otel_scope_[a-z_]+)="[^"]*",?`)

// printMetrics prints the telling lines of what url serves.
func printMetrics(ctx context.Context, w io.Writer, network http.RoundTripper, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: network}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if telling.Match(lines.Bytes()) {
			line := leftOut.ReplaceAllString(lines.Text(), "")
			fmt.Fprintln(w, regexp.MustCompile(`,?}`).ReplaceAllString(line, "}"))
		}
	}
	return lines.Err()
}
