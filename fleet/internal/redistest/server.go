// Package redistest starts redis-servers for tests and measurements: real ones,
// on free ports of the loopback interface, that can be killed, paused, restarted
// and made sick.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process. It keeps nothing on disk.
type Server struct {
	Addr string
	args []string
	cmd  *exec.Cmd
	dir  string
}

// ErrMissing is the error when redis-server is not installed.
var ErrMissing = errors.New("redis-server is not installed: apt-get install redis-server")

// Start starts a server with further arguments, such as "--requirepass", "x".
func Start(args ...string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	var err error
	for range 5 { // another program may take the port first
		var s *Server
		if s, err = start(args); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func start(args []string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: addr, args: args, dir: dir}
	if err := s.Restart(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// New starts a server that stops when the test ends. Where redis-server is not
// installed the test is skipped, but in CI it fails.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Start(args...)
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		t.Skipf("left out, for no other server will do: %v", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Restart starts the server anew, on its port and with nothing in it. It must
// have been killed.
func (s *Server) Restart() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	s.cmd = exec.Command("redis-server", append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir, "--loglevel", "warning",
	}, s.args...)...)
	dieWithParent(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 500 {
		c, err := net.Dial("tcp", s.Addr)
		if err == nil {
			// It listens before it is ready; any answer, also a refusal, will do.
			c.SetDeadline(time.Now().Add(time.Second))
			c.Write([]byte("PING\r\n"))
			n, _ := c.Read(make([]byte, 1))
			c.Close()
			if n > 0 && s.running() {
				return nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.Kill()
	return fmt.Errorf("redis-server on %s does not answer", s.Addr)
}

func (s *Server) running() bool { return s.cmd.Process.Signal(syscall.Signal(0)) == nil }

// Kill ends the server at once. It may be killed already.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s.cmd = nil
}

// Stop kills the server and removes its directory.
func (s *Server) Stop() {
	s.Kill()
	os.RemoveAll(s.dir)
}

// Port is the server's.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.Addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Client returns a client with the settings that package fleet advises.
func Client(addr string, edit ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1}
	for _, f := range edit {
		f(o)
	}
	return redis.NewClient(o)
}

// Commands returns how many scripts the server at addr has run.
func Commands(ctx context.Context, addr string) (int, error) {
	c := Client(addr)
	defer c.Close()
	text, err := c.Info(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	return callsOf(text, "evalsha") + callsOf(text, "eval"), nil
}
