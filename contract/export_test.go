package contract

import "time"

// SetRealBound sets how long a case may take of real time, and returns how to
// set it back.
func SetRealBound(d time.Duration) (restore func()) {
	was := realBound
	realBound = d
	return func() { realBound = was }
}
