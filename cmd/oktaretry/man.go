// This file is the command man, which writes the manual's pages.

package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/oktaretry/oktaretry"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual's pages to a directory",
		Example: `  oktaretry man /usr/local/share/man/man1
  man oktaretry-explain`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // so that the pages of one version are the same each time
			return doc.GenManTree(root, &doc.GenManHeader{
				Section: "1", Source: "oktaretry " + oktaretry.Version, Manual: "oktaretry", Date: &released,
			}, args[0])
		},
	}
}

// released is the date on the pages: none that changes from day to day.
var released = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
