package factor

import (
	"encoding/base32"
	"testing"
)

// The vectors of RFC 6238, appendix B, for SHA-1: the last six of their eight digits.
func TestPasscodesAreThoseOfRFC6238(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for seconds, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := totp(secret, seconds/30); got != want {
			t.Errorf("at %d s: %s, want %s", seconds, got, want)
		}
	}
}
