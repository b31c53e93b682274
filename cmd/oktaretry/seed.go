// This file reads the users and groups of the fake Okta from a file.

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/oktaretry/oktaretry/oktatest"
)

// maxSeed bounds the size of a seed file.
const maxSeed = 4 << 20

// seed is the file of --seed.
type seed struct {
	Users []struct {
		Login     string         `yaml:"login"`
		Email     string         `yaml:"email"` // the login, if left out
		FirstName string         `yaml:"firstName"`
		LastName  string         `yaml:"lastName"`
		Status    string         `yaml:"status"`  // ACTIVE, if left out
		Profile   map[string]any `yaml:"profile"` // more attributes
		Groups    []string       `yaml:"groups"`  // names
	} `yaml:"users"`
	Groups []struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	} `yaml:"groups"`
}

// readSeed reads a seed file. An unknown member and a doubled one are errors, which name
// their line and column.
func readSeed(path string) (*seed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSeed+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSeed {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxSeed)
	}
	s := new(seed)
	switch err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(s); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s:1:1: the file is empty", path)
	case err != nil:
		return nil, seedError(path, err)
	}
	return s, nil
}

// seedError names the place of what is wrong in a seed file.
func seedError(path string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		at := e.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, e.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

// plant adds the seed's users and groups. A group that users name, and that the seed does
// not describe, is made for them.
func (s *seed) plant(fake *oktatest.Okta) error {
	members := make(map[string][]string)
	var names []string
	for _, u := range s.Users {
		profile := map[string]any{"login": u.Login, "email": cmp.Or(u.Email, u.Login), "firstName": u.FirstName, "lastName": u.LastName}
		for name, value := range u.Profile {
			profile[name] = value
		}
		id, err := fake.AddUser(u.Status, profile)
		if err != nil {
			return err
		}
		for _, group := range u.Groups {
			if members[group] == nil {
				names = append(names, group)
			}
			members[group] = append(members[group], id)
		}
	}
	for _, g := range s.Groups {
		if _, err := fake.AddGroup(map[string]any{"name": g.Name, "description": g.Description}, members[g.Name]...); err != nil {
			return err
		}
		delete(members, g.Name)
	}
	for _, name := range names {
		if of := members[name]; of != nil {
			if _, err := fake.AddGroup(map[string]any{"name": name, "description": ""}, of...); err != nil {
				return err
			}
		}
	}
	return nil
}
