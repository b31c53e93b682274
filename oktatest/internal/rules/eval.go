// This file evaluates the expressions of group rules.

package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// operation joins two expressions by an operator.
func operation(op string, a, b expr) expr {
	switch op {
	case "||":
		return func(u User) any { return truth(a(u)) || truth(b(u)) }
	case "&&":
		return func(u User) any { return truth(a(u)) && truth(b(u)) }
	case "==":
		return func(u User) any { return same(a(u), b(u)) }
	case "!=":
		return func(u User) any { return !same(a(u), b(u)) }
	}
	return func(u User) any {
		order, ok := compare(a(u), b(u))
		if !ok {
			return false
		}
		switch op {
		case "<":
			return order < 0
		case "<=":
			return order <= 0
		case ">":
			return order > 0
		default:
			return order >= 0
		}
	}
}

func truth(v any) bool {
	b, _ := v.(bool)
	return b
}

// asNumber is a value of JSON or of a Go program as a float64.
func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// same reports equality; strings are compared with their case, lists never are equal.
func same(a, b any) bool {
	if order, ok := compare(a, b); ok {
		return order == 0
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		other, ok := b.(bool)
		return ok && a == other
	}
	return false
}

// compare orders two numbers or two strings.
func compare(a, b any) (order int, ok bool) {
	if x, isNumber := asNumber(a); isNumber {
		y, isNumber := asNumber(b)
		switch {
		case x < y:
			order = -1
		case x > y:
			order = 1
		}
		return order, isNumber
	}
	x, isText := a.(string)
	y, isTextToo := b.(string)
	return strings.Compare(x, y), isText && isTextToo
}

func values(list []expr, u User) []any {
	all := make([]any, 0, len(list))
	for _, e := range list {
		all = append(all, e(u))
	}
	return all
}

// function is one of the language's functions. most is negative where any number of arguments
// will do.
type function struct {
	least, most int
	eval        func(u User, args []any) any
}

func onText(n int, f func(s []string) any) function {
	return function{n, n, func(_ User, args []any) any {
		all := make([]string, 0, n)
		for _, a := range args {
			s, ok := a.(string)
			if !ok {
				return nil // as null in the comparison that follows
			}
			all = append(all, s)
		}
		return f(all)
	}}
}

// ofGroups is a function that asks for a group of the user.
func ofGroups(most int, is func(g Group, arg string) bool) function {
	return function{1, most, func(u User, args []any) any {
		return slices.ContainsFunc(u.Groups(), func(g Group) bool {
			return slices.ContainsFunc(args, func(a any) bool {
				s, ok := a.(string)
				return ok && is(g, s)
			})
		})
	}}
}

var byID = func(g Group, arg string) bool { return g.ID == arg }

var functions = map[string]function{
	"String.startsWith":     onText(2, func(s []string) any { return strings.HasPrefix(s[0], s[1]) }),
	"String.endsWith":       onText(2, func(s []string) any { return strings.HasSuffix(s[0], s[1]) }),
	"String.stringContains": onText(2, func(s []string) any { return strings.Contains(s[0], s[1]) }),
	"String.toLowerCase":    onText(1, func(s []string) any { return strings.ToLower(s[0]) }),
	"String.toUpperCase":    onText(1, func(s []string) any { return strings.ToUpper(s[0]) }),
	"String.len":            onText(1, func(s []string) any { return float64(len([]rune(s[0]))) }),
	"String.removeSpaces":   onText(1, func(s []string) any { return strings.ReplaceAll(s[0], " ", "") }),
	"String.append":         onText(2, func(s []string) any { return s[0] + s[1] }),
	"String.replace":        onText(3, func(s []string) any { return strings.ReplaceAll(s[0], s[1], s[2]) }),
	"String.replaceFirst":   onText(3, func(s []string) any { return strings.Replace(s[0], s[1], s[2], 1) }),
	"String.substringAfter": onText(2, func(s []string) any {
		_, after, _ := strings.Cut(s[0], s[1])
		return after
	}),
	"String.substringBefore": onText(2, func(s []string) any {
		before, _, _ := strings.Cut(s[0], s[1])
		return before
	}),
	"Arrays.contains": {2, 2, func(_ User, args []any) any {
		list, _ := args[0].([]any)
		return slices.ContainsFunc(list, func(v any) bool { return same(v, args[1]) })
	}},
	"Arrays.isEmpty": {1, 1, func(_ User, args []any) any {
		list, _ := args[0].([]any)
		return len(list) == 0
	}},
	"Arrays.size": {1, 1, func(_ User, args []any) any {
		list, _ := args[0].([]any)
		return float64(len(list))
	}},
	"isMemberOfGroup":               ofGroups(1, byID),
	"isMemberOfAnyGroup":            ofGroups(-1, byID),
	"isMemberOfGroupName":           ofGroups(1, func(g Group, arg string) bool { return g.Name == arg }),
	"isMemberOfGroupNameStartsWith": ofGroups(1, func(g Group, arg string) bool { return strings.HasPrefix(g.Name, arg) }),
	"isMemberOfGroupNameContains":   ofGroups(1, func(g Group, arg string) bool { return strings.Contains(g.Name, arg) }),
	"isMemberOfGroupNameRegex": ofGroups(1, func(g Group, arg string) bool {
		re, err := regexp.Compile("^(?:" + arg + ")$")
		return err == nil && re.MatchString(g.Name)
	}),
	"user.getInternalProperty": {1, 1, func(u User, args []any) any {
		name, _ := args[0].(string)
		return u.Internal[name]
	}},
}

// call is a call of a function.
func call(name string, args []expr) (expr, error) {
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %q", name)
	}
	if len(args) < f.least || f.most >= 0 && len(args) > f.most {
		return nil, fmt.Errorf("%s is called with %d arguments", name, len(args))
	}
	return func(u User) any { return f.eval(u, values(args, u)) }, nil
}
