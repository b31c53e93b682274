// This file measures a call through a sidecar in one process, for profiles. The
// comparison with other proxies is in benchmarks/sidecar.

package sidecar

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func BenchmarkCall(b *testing.B) {
	for name, users := range map[string]int{"1KB": 1, "100KB": 125} {
		b.Run(name, func(b *testing.B) { benchmarkCall(b, users) })
	}
}

func benchmarkCall(b *testing.B, users int) {
	user := func(org string) string {
		return `{"id":"00u1","profile":{"login":"user@example.com","text":"` + strings.Repeat("x", 400) + `"},"_links":{"self":{"href":"` + org +
			`/api/v1/users/00u1"},"suspend":{"href":"` + org + `/api/v1/users/00u1/lifecycle/suspend"},"type":{"href":"` + org + `/api/v1/meta/types/user/oty1"}}}`
	}
	org := recording(b, nil, func(w http.ResponseWriter, r *http.Request) {
		body := "[" + strings.Repeat(user("http://"+r.Host)+",", users-1) + user("http://"+r.Host) + "]"
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("X-Rate-Limit-Limit", "10000000")
		h.Set("X-Rate-Limit-Remaining", "9000000")
		h.Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Unix()/60*60+60, 10))
		io.WriteString(w, body)
	})
	s := startAt(b, Config{}, org)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Get(s.url + "/api/v1/users")
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	})
}
