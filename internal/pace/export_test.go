package pace

import "github.com/oktaretry/oktaretry/shared"

// Inconsistent reports whether no honest store gives that answer.
func (e *Errand) Inconsistent(l *shared.Lease) bool { return absurd(l, &e.Request) }
