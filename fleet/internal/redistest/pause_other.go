//go:build !unix

package redistest

import "runtime"

// Pause panics: processes cannot be paused here.
func (s *Server) Pause() { panic("redistest: no process can be paused on " + runtime.GOOS) }

// Resume lets a paused server go on, and there is none.
func (s *Server) Resume() {}
