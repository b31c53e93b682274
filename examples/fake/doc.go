// Package fake holds tests in Python and Node of programs that call Okta. They start
//
//	oktaretry fake --json --seed org.yaml
//
// and steer it by its control API: a script answers 429, the journal shows what the
// program sent, a reset brings the seed back. They need the command, by the name oktaretry
// or in the variable OKTARETRY, and no library.
//
//	python3 -m unittest -v test_sync.py
//	node --test sync.test.mjs
//
// The tests of the command run them.
package fake
