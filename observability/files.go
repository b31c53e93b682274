// Package observability holds a Grafana dashboard and Prometheus alert rules
// for what oktaretry exports, for programs that provision them. README.md says
// what each panel answers.
package observability

import "embed"

// Files holds dashboard.json, alerts.yaml and the rules' tests,
// alerts_test.yaml.
//
//go:embed dashboard.json alerts.yaml alerts_test.yaml
var Files embed.FS
