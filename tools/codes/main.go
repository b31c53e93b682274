// Command codes writes docs/codes.md, the page of all error codes, from the
// library's catalogue:
//
//	go -C tools run ./codes > docs/codes.md
//
// Its test fails where the page is stale.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/words"
)

func main() { os.Stdout.Write(page()) }

const intro = "# Error codes" + `

What oktaretry does by default with each error code of Okta's, and with the OAuth errors. The code decides before the
status, except for E0000169 and the steps of OAuth's own flows (authorization_pending, invalid_dpop_proof, slow_down, use_dpop_nonce),
which go by their status. A rule in ` + "`Policy.Codes`, or `WithRule`" + ` for one call, changes it; ` + "`oktaretry.Lookup(code)`" + ` returns the same to a
program.

- **Handed back**: at once, and as Okta sent it.
- **Waits**: as long as Okta says, then goes again whatever the method, for Okta refused it unprocessed; up to 10 minutes in all.
- **Attempts**: where the method is idempotent, unless "any method" stands there. The circuit named is the one that the answer counts against.

This page is generated: ` + "`go -C tools run ./codes > docs/codes.md`" + `.

| code | status | name | class | what the library does | advice |
|---|---|---|---|---|---|
`

func page() []byte {
	b := bytes.NewBufferString(intro)
	for info := range oktaretry.Codes() {
		status := "–"
		if info.Status != 0 {
			status = strconv.Itoa(info.Status)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", info.Code, status, info.Name, info.Class, words.Does(info), info.Advice)
	}
	return b.Bytes()
}
