//go:build unix

package redistest

import "syscall"

// Pause stops the process: its sockets stay open, nothing is answered.
func (s *Server) Pause() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() { s.cmd.Process.Signal(syscall.SIGCONT) }
