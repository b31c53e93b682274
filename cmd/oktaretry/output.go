// This file prints: data as JSON, headings in bold on a terminal.

package main

import (
	"encoding/json"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
)

// printJSON prints v to the command's output, indented and with a newline.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printLine prints v as one line of JSON, for a program that reads it while this one
// goes on.
func printLine(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// The styles of text for people. Package color leaves them out where standard output
// is no terminal, where NO_COLOR is set, and for TERM=dumb.
var (
	bold  = color.New(color.Bold).SprintFunc()
	faint = color.New(color.Faint).SprintFunc()
)
