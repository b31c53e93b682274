// This file says what Close does to an unread body since Go 1.27, where it reads a small rest.

//go:build go1.27

package oktatest

const closeReads = true
