// Package redistest starts redis-servers for tests and measurements: real ones,
// on free ports of the loopback interface, that can be killed, paused, restarted
// and made sick.
package redistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a process of redis-server, valkey-server or a sentinel. It keeps no data on
// disk.
type Server struct {
	Addr   string
	binary string
	config string // the content of its configuration file; "": none
	args   []string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	dir    string
}

// program is the server's: redis-server, or what the environment names, such as
// valkey-server.
func program() string { return cmp.Or(os.Getenv("OKTARETRY_REDIS_SERVER"), "redis-server") }

// ErrMissing is the error when redis-server is not installed.
var ErrMissing = errors.New("redis-server is not installed: apt-get install redis-server")

// Start starts a server with further arguments, such as "--requirepass", "x".
func Start(args ...string) (*Server, error) {
	return started(Server{binary: program(), args: args})
}

// started starts s on a free port, in a directory of its own.
func started(s Server) (*Server, error) {
	if _, err := exec.LookPath(s.binary); err != nil {
		return nil, ErrMissing
	}
	var err error
	for range 5 { // another program may take the port first
		started := s
		if err = started.start(); err == nil {
			return &started, nil
		}
	}
	return nil, err
}

func (s *Server) start() (err error) {
	if s.Addr, err = freeAddr(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "redistest"); err != nil {
		return err
	}
	if s.config != "" {
		err = os.WriteFile(s.configFile(), []byte(s.config), 0o600)
	}
	if err == nil {
		err = s.Restart()
	}
	if err != nil {
		s.Stop()
	}
	return err
}

func (s *Server) configFile() string { return filepath.Join(s.dir, "redis.conf") }

// socket is where the server listens once it has its port. On the port another server may
// answer, which took it first.
func (s *Server) socket() string { return filepath.Join(s.dir, "redis.sock") }

// freeAddr returns an address of the loopback interface that nothing listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// New starts a server that stops when the test ends. Where redis-server is not
// installed the test is skipped, but in CI it fails.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Start(args...)
	Need(t, err)
	t.Cleanup(s.Stop)
	return s
}

// Need skips the test where err is that redis-server is not installed, but in CI fails,
// as it does after any other error.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		t.Skipf("left out, for no other server will do: %v", err)
	case err != nil:
		t.Fatal(err)
	}
}

// Restart starts the server anew, on its port and with nothing in it. It must
// have been killed.
func (s *Server) Restart() error {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	args := []string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--unixsocket", s.socket(), "--loglevel", "warning"}
	if s.config == "" {
		args = append(args, "--save", "", "--appendonly", "no")
	} else {
		args = append([]string{s.configFile()}, args...)
	}
	s.cmd = exec.Command(s.binary, append(args, s.args...)...)
	dieWithParent(s.cmd)
	os.Remove(s.socket()) // of the one that was killed
	if err := s.cmd.Start(); err != nil {
		return err
	}
	cmd, ended := s.cmd, make(chan struct{})
	s.ended = ended
	go func() {
		cmd.Wait()
		close(ended)
	}()
	for range 500 {
		c, err := net.Dial("unix", s.socket())
		if err == nil {
			// It listens before it is ready; any answer, also a refusal, will do.
			c.SetDeadline(time.Now().Add(time.Second))
			c.Write([]byte("PING\r\n"))
			n, _ := c.Read(make([]byte, 1))
			c.Close()
			if n > 0 {
				return nil
			}
		}
		select {
		case <-ended:
			return fmt.Errorf("%s on %s ended at once", s.binary, s.Addr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.Kill()
	return fmt.Errorf("%s on %s does not answer", s.binary, s.Addr)
}

// Kill ends the server at once. It may be killed already.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		<-s.ended
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
