// Package policyfile reads policies of package oktaretry from YAML and JSON files, and
// follows a file while it changes.
//
//	serverError:
//	  maxAttempts: 6          # the rest of the rule stays as in DefaultPolicy
//	  maxElapsed: 1m
//	codes:
//	  E0000112: {action: backoff}
//	  "408": {action: fail-fast}
//	pace:
//	  maxUtilization: 0.7
//
// A file changes [oktaretry.DefaultPolicy]: what it leaves out stays. A rule names only
// what it changes, as with [oktaretry.Policy.Edit]. Names are those that
// [oktaretry.Policy.MarshalJSON] writes, durations are such as "30s" and "1m30s".
// policy.schema.json, beside this package, describes the files to editors.
//
// [Read], [Parse] and [FromEnv] report all problems at once, each with its line and
// column; see [Errors]. The one exception is a file that is no YAML: the first place where
// that shows is reported alone.
//
// # What is refused
//
// What readers of YAML take for different things is refused rather than guessed at:
// members given twice, null, numbers such as 1_000, 0x10 and 010, and names that differ
// from a member's in case. So are anchors, aliases, merge keys, tags, and more than one
// document, which no policy needs. A word such as yes or on is a string, as in YAML 1.2,
// and a string is no bool. Files are UTF-8, with or without a byte order mark, with
// line ends of any kind, and of 128 KiB at most.
package policyfile
