// This file says what Close does to an unread body up to Go 1.26, where it reads nothing.

//go:build !go1.27

package oktatest

const closeReads = false
