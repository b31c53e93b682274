// This file holds the errors that explain why a body cannot be sent again.

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrTooLarge: more of the body was sent than is kept.
	ErrTooLarge = errors.New("oktaretry: request body is larger than what is kept for a resend")
	// ErrSource: the caller's body failed; its error is wrapped too.
	ErrSource = errors.New("oktaretry: request body cannot be read")
	// ErrGetBody: Request.GetBody failed; its error is wrapped too.
	ErrGetBody = errors.New("oktaretry: Request.GetBody failed")
	// ErrBusy: the attempt before is still reading the caller's body.
	ErrBusy = errors.New("oktaretry: request body is still being read by the attempt before")
	// ErrClosed: the call is over.
	ErrClosed = errors.New("oktaretry: request body is closed")
)

var (
	errStale    = errors.New("oktaretry: this attempt is over")
	errPanicked = errors.New("Read panicked")
	errBadCount = errors.New("Read returned an invalid count")
)

// notEOF returns err, or its text alone if it matches io.EOF: a caller would take it for the end of a response.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New(err.Error())
	}
	return err
}

// cause is context.Cause, except for a cause that matches io.EOF: its text stays, and it matches ctx.Err() instead.
func cause(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ctx.Err(), notEOF(err))
	}
	return err
}
