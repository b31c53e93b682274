package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "play the story: half a minute, on a machine that does little else")

func TestMain(m *testing.M) {
	if os.Getenv(workerKey) != "" {
		if err := work(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestFleet checks that the story ends, and well.
func TestFleet(t *testing.T) {
	if !*full {
		t.Skip("plays with real processes in real time: run it with -full")
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text := out.String()
	for n := range windows {
		if !strings.Contains(text, fmt.Sprintf("\nwindow %d  1 ", n+1)) {
			t.Errorf("no window %d:\n%s", n+1, text)
		}
	}
	if !strings.Contains(text, "worker 4 is killed") {
		t.Errorf("nobody is killed:\n%s", text)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		if !strings.Contains(text, "apt-get install redis-server") {
			t.Errorf("it does not say how to get redis-server:\n%s", text)
		}
		return
	}
	if full := strings.Count(text, fmt.Sprintf("  %d of %d used", limit, limit)); full < windows-1 {
		t.Errorf("%d of %d windows were used to the last place:\n%s", full, windows, text)
	}
	t.Log("\n" + text)
}
