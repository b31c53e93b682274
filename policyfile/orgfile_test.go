// This file tests package orgfile: it is here because each test binary more takes its time to link.

package policyfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/policyfile"
	"github.com/oktaretry/oktaretry/policyfile/orgfile"
)

const org = `# an org
users:
  - {login: ann@example.com, firstName: Ann, groups: [staff]}
  - login: ben@example.com
    status: SUSPENDED
    profile: {department: sales, level: 3}
groups:
  - {name: staff, description: all of us, members: [ben@example.com]}
requests:
  - {path: /api/v1/groups, body: {profile: {name: payroll}}, as: payroll}
limits: {GET /api/v1/users: 50}
`

func TestYAMLAndJSONGiveTheSameSeed(t *testing.T) {
	want := oktatest.Seed{
		Users: []oktatest.SeedUser{
			{Login: "ann@example.com", FirstName: "Ann", Groups: []string{"staff"}},
			{Login: "ben@example.com", Status: "SUSPENDED", Profile: map[string]any{"department": "sales", "level": 3.0}},
		},
		Groups:   []oktatest.SeedGroup{{Name: "staff", Description: "all of us", Members: []string{"ben@example.com"}}},
		Requests: []oktatest.SeedRequest{{Path: "/api/v1/groups", Body: map[string]any{"profile": map[string]any{"name": "payroll"}}, As: "payroll"}},
		Limits:   map[string]int{"GET /api/v1/users": 50},
	}
	for _, text := range []string{org, `{"users": [{"login": "ann@example.com", "firstName": "Ann", "groups": ["staff"]},
		{"login": "ben@example.com", "status": "SUSPENDED", "profile": {"department": "sales", "level": 3}}],
		"groups": [{"name": "staff", "description": "all of us", "members": ["ben@example.com"]}],
		"requests": [{"path": "/api/v1/groups", "body": {"profile": {"name": "payroll"}}, "as": "payroll"}],
		"limits": {"GET /api/v1/users": 50}}`} {
		path := filepath.Join(t.TempDir(), "org")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := orgfile.Read(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
	}
}

func TestMistakesAreReportedAtTheirPlaceInTheYAML(t *testing.T) {
	for text, want := range map[string]string{
		"":               "org.yaml:1:1: the file is empty: {} means an empty org",
		"users: [":       "org.yaml:1:8: the file is no YAML: ",
		"users: &a []\n": "org.yaml:1:8: users has an anchor, which seeds do without",
		"users:\n  - {login: a@b.c, lastNam: x}\n":                               "org.yaml:2:20: users.0.lastNam is unknown, want one of login, ",
		"users: []\ngroups: []\nusers: []\n":                                     "org.yaml:3:1: users is given twice, first in line 1",
		"users:\n  - login: [a]\n":                                               "org.yaml:2:12: users.0.login is an array, want a string",
		"users:\n  - login: a@b.c\n  - email: x\n    login: A@b.c\n":             `org.yaml:4:12: users.1.login is "A@b.c", which another user has`,
		"users:\n  - {login: a@b.c, status: HAPPY}\n":                            `org.yaml:2:28: users.0.status is "HAPPY", want one of STAGED, `,
		"groups:\n  - {description: x}\n":                                        "org.yaml:2:5: groups.0 has no name",
		"limits:\n  GET /api/v1/users: x\n":                                      `org.yaml:2:22: limits["GET /api/v1/users"] is "x", want a whole number`,
		"requests:\n  - path: /api/v1/groups\n    body: {profile: {name: ''}}\n": "org.yaml:2:5: requests.0 is refused: POST /api/v1/groups is answered by 400 E0000001 ",
	} {
		_, err := orgfile.Parse("org.yaml", []byte(text))
		list, ok := errors.AsType[policyfile.Errors](err)
		if !ok || len(list) != 1 || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got  %v\nwant %s", text, err, want)
		}
	}
}

func TestAFileThatIsMissingIsAPathError(t *testing.T) {
	_, err := orgfile.Read(filepath.Join(t.TempDir(), "none.yaml"))
	if _, ok := errors.AsType[*fs.PathError](err); !ok {
		t.Errorf("got %v", err)
	}
}
