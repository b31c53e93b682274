// This file lets tests shorten the bound of real time.

package contract

import "time"

// SetRealBound sets how much real time a case may take. restore undoes it.
func SetRealBound(d time.Duration) (restore func()) {
	was := realBound
	realBound = d
	return func() { realBound = was }
}
