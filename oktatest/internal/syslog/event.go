// Package syslog is the system log of a fake org: the events that Okta would log, and the
// queries by which programs read and poll them.
package syslog

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Event is an entry of the log in Okta's form, its LogEvent. Log.Record fills in what is
// left empty.
type Event struct {
	Actor          Entity
	Client         *Client
	DisplayMessage string
	Type           string
	Outcome        Outcome
	Published      time.Time
	Severity       string
	Debug          map[string]any
	Legacy         string
	Transaction    *Transaction
	UUID           string
	Targets        []Entity
	Extra          map[string]any // attributes to replace or add, by Okta's names

	seq uint64 // the order in which events came
}

// Entity is who acted, or what was acted upon.
type Entity struct {
	ID          string         `json:"id"`
	Type        string         `json:"type"`
	AlternateID string         `json:"alternateId"`
	DisplayName string         `json:"displayName"`
	DetailEntry map[string]any `json:"detailEntry"`
}

// System is the actor of what Okta does by itself.
var System = Entity{ID: "oktatest.system", Type: "SystemPrincipal", AlternateID: "system@okta.com", DisplayName: "Okta System"}

// Client is where a request came from.
type Client struct {
	UserAgent string
	IP        string
}

// Outcome is how it went.
type Outcome struct {
	Result string  `json:"result"`
	Reason *string `json:"reason"`
}

// Failure is the outcome of what failed.
func Failure(reason string) Outcome { return Outcome{"FAILURE", &reason} }

// Transaction is the request that caused an event.
type Transaction struct {
	Type   string         `json:"type"`
	ID     string         `json:"id"`
	Detail map[string]any `json:"detail"`
}

// stamp is the time format of Okta's log.
const stamp = "2006-01-02T15:04:05.000Z"

type object = map[string]any

// MarshalJSON writes the event as Okta does.
func (e *Event) MarshalJSON() ([]byte, error) {
	type entry struct {
		Actor                 Entity       `json:"actor"`
		Client                any          `json:"client"`
		Device                any          `json:"device"`
		AuthenticationContext object       `json:"authenticationContext"`
		DisplayMessage        string       `json:"displayMessage"`
		EventType             string       `json:"eventType"`
		Outcome               Outcome      `json:"outcome"`
		Published             string       `json:"published"`
		SecurityContext       object       `json:"securityContext"`
		Severity              string       `json:"severity"`
		DebugContext          object       `json:"debugContext"`
		LegacyEventType       *string      `json:"legacyEventType"`
		Transaction           *Transaction `json:"transaction"`
		UUID                  string       `json:"uuid"`
		Version               string       `json:"version"`
		Request               object       `json:"request"`
		Target                []Entity     `json:"target"`
	}
	x := entry{
		Actor: e.Actor, DisplayMessage: e.DisplayMessage, EventType: e.Type, Outcome: e.Outcome,
		Published: e.Published.UTC().Format(stamp), Severity: e.Severity,
		AuthenticationContext: object{"authenticationProvider": nil, "credentialProvider": nil, "credentialType": nil,
			"issuer": nil, "interface": nil, "authenticationStep": 0, "externalSessionId": nil},
		SecurityContext: object{"asNumber": nil, "asOrg": nil, "isp": nil, "domain": nil, "isProxy": nil},
		DebugContext:    object{"debugData": e.Debug},
		Transaction:     e.Transaction, UUID: e.UUID, Version: "0", Target: e.Targets,
		Request: object{"ipChain": []any{}},
	}
	if e.Legacy != "" {
		x.LegacyEventType = &e.Legacy
	}
	if c := e.Client; c != nil {
		x.Client = object{
			"userAgent": object{"rawUserAgent": c.UserAgent, "os": "Unknown", "browser": browser(c.UserAgent)},
			"zone":      "null", "device": "Unknown", "id": nil, "ipAddress": c.IP, "geographicalContext": nil,
		}
		x.Request = object{"ipChain": []any{object{"ip": c.IP, "geographicalContext": nil, "version": version(c.IP), "source": nil}}}
	}
	b, err := json.Marshal(x)
	if err != nil || len(e.Extra) == 0 {
		return b, err
	}
	return overlay(b, e.Extra)
}

// overlay replaces attributes of an object.
func overlay(b []byte, with object) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for k, v := range with {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		all[k] = raw
	}
	return json.Marshal(all)
}

func browser(userAgent string) string {
	for _, b := range []struct{ mark, name string }{{"Edg/", "EDGE"}, {"Chrome/", "CHROME"}, {"Firefox/", "FIREFOX"}, {"Safari/", "SAFARI"}} {
		if strings.Contains(userAgent, b.mark) {
			return b.name
		}
	}
	return "UNKNOWN"
}

func version(ip string) string {
	if strings.Contains(ip, ":") {
		return "V6"
	}
	return "V4"
}

// attribute is what a filter can ask of the event, with one of its targets; an empty string
// if there is no such attribute.
func (e *Event) attribute(name string, target *Entity) string {
	if rest, ok := strings.CutPrefix(name, "target."); ok {
		if target == nil {
			return ""
		}
		return target.attribute(rest)
	}
	if rest, ok := strings.CutPrefix(name, "actor."); ok {
		return e.Actor.attribute(rest)
	}
	switch name {
	case "uuid":
		return e.UUID
	case "eventType":
		return e.Type
	case "published":
		return e.Published.UTC().Format(stamp)
	}
	return e.lookup(name)
}

// text is what keywords are looked for in: the event's values, one a line.
func (e *Event) text() string {
	var b strings.Builder
	add := func(values ...any) {
		for _, v := range values {
			fmt.Fprintln(&b, v)
		}
	}
	for _, n := range append([]Entity{e.Actor}, e.Targets...) {
		add(n.ID, n.Type, n.AlternateID, n.DisplayName)
	}
	add(e.Type, e.DisplayMessage, e.Severity, e.Outcome.Result, e.UUID, e.Transaction.ID)
	if e.Outcome.Reason != nil {
		add(*e.Outcome.Reason)
	}
	if e.Client != nil {
		add(e.Client.UserAgent, e.Client.IP)
	}
	for _, values := range []object{e.Debug, e.Transaction.Detail, e.Extra} {
		for _, v := range values {
			add(v)
		}
	}
	return b.String()
}

func (n Entity) attribute(name string) string {
	switch name {
	case "id":
		return n.ID
	case "type":
		return n.Type
	case "alternateId":
		return n.AlternateID
	case "displayName":
		return n.DisplayName
	}
	return ""
}

// lookup follows a dotted name through the event as it is written.
func (e *Event) lookup(name string) string {
	b, err := e.MarshalJSON()
	if err != nil {
		return ""
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return ""
	}
	for key := range strings.SplitSeq(name, ".") {
		o, _ := v.(object)
		v = o[key]
	}
	switch v := v.(type) {
	case string:
		return v
	case nil, object, []any:
		return ""
	default:
		b, _ := json.Marshal(v) // a number or a boolean: cannot fail
		return string(b)
	}
}
