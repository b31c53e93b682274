// This file tests what is printed to a terminal.

//go:build linux || darwin

package main

import (
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// onTerminal runs the command with a terminal as its standard output.
func onTerminal(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(command, args...)
	cmd.Env = append(cmd.Environ(), env...)
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	text, _ := io.ReadAll(terminal) // Linux ends it with an error
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOutputHasColoursOnATerminalAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		args []string
		want bool
	}{
		"a terminal":      {[]string{"TERM=xterm", "NO_COLOR="}, []string{"explain", "E0000047"}, true},
		"NO_COLOR":        {[]string{"TERM=xterm", "NO_COLOR=1"}, []string{"explain", "E0000047"}, false},
		"a dumb terminal": {[]string{"TERM=dumb", "NO_COLOR="}, []string{"explain", "E0000047"}, false},
		"data":            {[]string{"TERM=xterm", "NO_COLOR="}, []string{"explain", "--json", "E0000047"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := onTerminal(t, c.env, c.args...)
			if !strings.Contains(got, "E0000047") || strings.Contains(got, "\x1b[") != c.want {
				t.Errorf("want colours %t in %.200q", c.want, got)
			}
		})
	}
}
