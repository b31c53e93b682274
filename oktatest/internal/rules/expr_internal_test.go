package rules

import (
	"strings"
	"testing"
)

var ann = User{
	ID: "00u1",
	Attributes: map[string]any{
		"firstName": "Ann", "department": "Eng", "title": "Dr. x", "age": 41.0, "remote": true,
		"langs": []any{"go", "de"}, "empty": "",
	},
	Internal: map[string]any{"status": "ACTIVE"},
	Groups:   func() []Group { return []Group{{"00g1", "eng-team"}} },
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		`user.department=="Eng"`:                                            true,
		`user.department == 'eng'`:                                          false,
		`user.department != "Sales"`:                                        true,
		`user.department eq "Eng" and user.firstName ne "Ben"`:              true,
		`user.department=="Sales" || user.firstName=="Ann"`:                 true,
		`user.department=="Sales" OR user.firstName=="Ann" AND user.age>50`: false,
		`(user.department=="Eng" or user.age > 50) && !user.remote`:         false,
		`not (user.department=="Sales")`:                                    true,
		`NOT user.remote`:                                                   false,
		`user.remote`:                                                       true,
		`user.remote == true`:                                               true,
		`user.age >= 41 and user.age <= 41 and user.age < 42`:               true,
		`user.age > "40"`:                                                   false, // of different kinds
		`user.age == -1`:                                                    false,
		`user.missing == null`:                                              true,
		`user.department == null`:                                           false,
		`user.empty == null`:                                                false,
		`String.startsWith(user.department,"En")`:                           true,
		`String.startsWith(user.missing, "En")`:                             false,
		`String.stringContains(user.title, "r. ")`:                          true,
		`String.toLowerCase(user.department) == "eng"`:                      true,
		`String.startsWith(user.firstName,String.toUpperCase("a"))`:         true,
		`String.len(user.firstName) == 3`:                                   true,
		`String.substringAfter(user.title, ". ") == "x"`:                    true,
		`String.substringBefore(user.title, ".") == "Dr"`:                   true,
		`Arrays.contains(user.langs, "go")`:                                 true,
		`Arrays.contains(user.langs, "c")`:                                  false,
		`Arrays.size(user.langs) == 2 and !Arrays.isEmpty(user.langs)`:      true,
		`Arrays.contains({"Eng", "Ops"}, user.department)`:                  true,
		`isMemberOfGroup("00g1")`:                                           true,
		`isMemberOfAnyGroup("00g0", "00g1")`:                                true,
		`isMemberOfAnyGroup("00g0")`:                                        false,
		`isMemberOfGroupName("eng-team")`:                                   true,
		`isMemberOfGroupNameStartsWith("eng-")`:                             true,
		`isMemberOfGroupNameContains("g-t")`:                                true,
		`isMemberOfGroupNameRegex("eng-.*")`:                                true,
		`isMemberOfGroupNameRegex("eng")`:                                   false,
		`user.getInternalProperty("status") == "ACTIVE"`:                    true,
		`user.age > 40 ? user.department == "Eng" : false`:                  true,
		`user.age > 50 ? true : user.department == "Ops"`:                   false,
		`"Eng"`:                              false, // no truth
		`true`:                               true,
		`user.profile.department == "E\"ng"`: false,
	} {
		e, err := parse(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := truth(e(ann)); got != want {
			t.Errorf("%s: %v, want %v", expression, got, want)
		}
	}
}

func TestBadExpressionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		``, ` `, `user.`, `user.a == AND user.b`, `user.a ==`, `(user.a`, `user.a)`, `"a`, `a == "b"`, `user.a = "b"`,
		`String.startsWith(user.a)`, `String.startsWith(user.a,)`, `String.what(user.a)`, `isMemberOfGroup()`, `user.a "b"`,
		`{"a"`, `true ? false`, `1.2.3 == 1`, `§`, strings.Repeat("(", 1000), strings.Repeat("!", 1000) + "true",
	} {
		if _, err := parse(expression); err == nil {
			t.Errorf("%s: no error", expression)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`user.department=="Eng" and !(String.len(user.a) > 3 ? true : Arrays.contains({"a"}, user.b))`)
	f.Fuzz(func(t *testing.T, s string) {
		if e, err := parse(s); err == nil {
			truth(e(ann))
		}
	})
}
