// This file enrolls, activates and lists factors.

package factor

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

type object = map[string]any

// Routes are the endpoints of factors.
func (s *Store) Routes() []endpoint.Route {
	const (
		all         = "/api/v1/users/{id}/factors"
		one         = all + "/{factor}"
		transaction = one + "/transactions/{transaction}"
	)
	return []endpoint.Route{
		{Pattern: "GET " + all, Serve: s.ofUser(s.list)},
		{Pattern: "POST " + all, Serve: s.ofUser(s.enroll)},
		{Pattern: "GET " + all + "/catalog", Serve: s.ofUser(s.catalog)},
		{Pattern: "GET " + all + "/questions", Serve: s.ofUser(s.questions)},
		{Pattern: "GET " + one, Serve: s.ofFactor(s.get)},
		{Pattern: "DELETE " + one, Serve: s.ofFactor(s.delete)},
		{Pattern: "POST " + one + "/lifecycle/activate", Serve: s.ofFactor(s.activate)},
		{Pattern: "POST " + one + "/lifecycle/activate/poll", Serve: s.ofFactor(s.pollActivation)},
		{Pattern: "POST " + one + "/resend", Serve: s.ofFactor(s.resend)},
		{Pattern: "POST " + one + "/verify", Serve: s.ofFactor(s.verify)},
		{Pattern: "GET " + transaction, Serve: s.ofTransaction(s.poll)},
		{Pattern: "DELETE " + transaction, Serve: s.ofTransaction(s.cancel)},
		{Pattern: "POST /api/v1/users/{id}/lifecycle/reset_factors", Serve: s.ofUser(s.reset)},
	}
}

// ofUser calls f with the user that the path names, the store locked.
func (s *Store) ofUser(f func(*endpoint.Request, User) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return func(r *endpoint.Request) endpoint.Answer {
		u, ok := s.find(r.Vars[0])
		if !ok {
			return endpoint.Missing(r.Vars[0], "User")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return f(r, u)
	}
}

// ofFactor calls f with the factor that the path names, the store locked.
func (s *Store) ofFactor(f func(*endpoint.Request, User, *factor) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return s.ofUser(func(r *endpoint.Request, u User) endpoint.Answer {
		found := s.factor(u, r.Vars[1])
		if found == nil {
			return endpoint.Missing(r.Vars[1], "UserFactor")
		}
		return f(r, u, found)
	})
}

func self(r *endpoint.Request, u User, id string) string {
	return r.Base + "/api/v1/users/" + u.ID + "/factors/" + id
}

// render is a factor as Okta's JSON has it.
func (f *factor) render(r *endpoint.Request, u User) object {
	at := self(r, u, f.id)
	links := object{
		"self": endpoint.Link(at, http.MethodGet, http.MethodDelete),
		"user": endpoint.Link(r.Base+"/api/v1/users/"+u.ID, http.MethodGet),
	}
	v := object{
		"id": f.id, "factorType": f.kind.name, "provider": f.provider, "vendorName": f.vendor, "status": f.status,
		"created": endpoint.Timestamp(f.created), "lastUpdated": endpoint.Timestamp(f.updated), "_links": links,
	}
	if len(f.profile) > 0 {
		v["profile"] = f.profile
	}
	switch {
	case f.status == active:
		links["verify"] = endpoint.Link(at+"/verify", http.MethodPost)
	case f.kind.name == "push":
		links["poll"] = endpoint.Link(at+"/lifecycle/activate/poll", http.MethodPost)
		v["_embedded"] = object{"activation": f.activating(at, "WAITING")}
	default:
		links["activate"] = endpoint.Link(at+"/lifecycle/activate", http.MethodPost)
		f.embed(r, u, v)
	}
	if f.kind.codes {
		links["resend"] = endpoint.Link(at+"/resend", http.MethodPost) // an object: SDK v6 decodes no list here
	}
	return v
}

// embed adds what a client needs for the activation.
func (f *factor) embed(r *endpoint.Request, u User, v object) {
	switch f.kind.name {
	case "token:software:totp":
		v["_embedded"] = object{"activation": object{
			"timeStep": 30, "sharedSecret": f.secret, "encoding": "base32", "keyLength": 6,
			"_links": object{"qrcode": object{"href": self(r, u, f.id) + "/qr/" + f.id, "type": "image/png"}},
		}}
	case "u2f", "webauthn":
		v["_embedded"] = object{"activation": object{"version": "U2F_V2", "challenge": f.code, "attestation": "direct", "user": object{"id": u.ID, "name": u.Login, "displayName": u.Login}}}
	}
}

// activating is how the activation of a push stands.
func (f *factor) activating(at, result string) object {
	v := object{"factorResult": result}
	if result == "WAITING" {
		v["expiresAt"] = endpoint.Timestamp(f.activation.expires)
		v["_links"] = object{
			"poll":   endpoint.Link(at+"/lifecycle/activate/poll", http.MethodPost),
			"qrcode": object{"href": at + "/qr/" + f.id, "type": "image/png"},
			"send": []any{
				object{"name": "email", "href": at + "/lifecycle/activate/email", "hints": object{"allow": []string{"POST"}}},
				object{"name": "sms", "href": at + "/lifecycle/activate/sms", "hints": object{"allow": []string{"POST"}}},
			},
		}
		return v
	}
	v["_links"] = object{"activate": endpoint.Link(at+"/lifecycle/activate", http.MethodPost)}
	return v
}

func (s *Store) list(r *endpoint.Request, u User) endpoint.Answer {
	all := []any{}
	for _, f := range s.factors(u) {
		all = append(all, f.render(r, u))
	}
	return endpoint.OK(all)
}

func (s *Store) get(r *endpoint.Request, u User, f *factor) endpoint.Answer {
	return endpoint.OK(f.render(r, u))
}

// catalog lists what can be enrolled, and what is.
func (s *Store) catalog(r *endpoint.Request, u User) endpoint.Answer {
	all := []any{}
	for _, name := range catalog {
		k := kinds[name]
		for _, provider := range k.by {
			status := "NOT_SETUP"
			if f := s.enrolled(u, k, provider); f != nil {
				status = f.status
			}
			all = append(all, object{
				"factorType": name, "provider": provider, "vendorName": provider, "status": status, "enrollment": "OPTIONAL",
				"_links": object{"enroll": endpoint.Link(r.Base+"/api/v1/users/"+u.ID+"/factors", http.MethodPost)},
			})
		}
	}
	return endpoint.OK(all)
}

func (s *Store) questions(*endpoint.Request, User) endpoint.Answer {
	all := []any{}
	for _, q := range questions {
		all = append(all, object{"question": q[0], "questionText": q[1]})
	}
	return endpoint.OK(all)
}

func (s *Store) enrolled(u User, k kind, provider string) *factor {
	for _, f := range s.factors(u) {
		if f.kind.name == k.name && f.provider == provider {
			return f
		}
	}
	return nil
}

// enrollment is the body of an enrollment.
type enrollment struct {
	FactorType string `json:"factorType"`
	Provider   string `json:"provider"`
	Profile    object `json:"profile"`
	Verify     struct {
		PassCode string `json:"passCode"`
	} `json:"verify"`
}

// enroll serves POST /users/{id}/factors.
func (s *Store) enroll(r *endpoint.Request, u User) endpoint.Answer {
	var in enrollment
	if bad, ok := r.Decode(&in); !ok {
		return bad
	}
	k, ok := kinds[in.FactorType]
	if !ok {
		return endpoint.Invalid("factorType", "factorType: "+strconv.Quote(in.FactorType)+" cannot be enrolled")
	}
	provider := cmp.Or(in.Provider, k.by[0])
	if !slices.Contains(k.by, provider) {
		return endpoint.Invalid("provider", "provider: "+strconv.Quote(provider)+" has no "+k.name)
	}
	if f := s.enrolled(u, k, provider); f != nil && k.name != "push" {
		if f.status == active {
			return endpoint.Invalid("factorEnrollRequest", "A factor of this type is already set up.")
		}
		s.drop(u, f) // the new enrollment takes the place of one that was never activated
	}
	now := r.Now()
	f := &factor{
		id: r.NewID(k.prefix), kind: k, provider: provider, vendor: provider,
		status: active, created: now, updated: now, profile: maps.Clone(in.Profile),
	}
	if bad, ok := f.prepare(u, in); !ok {
		return bad
	}
	if k.pending && !(k.codes && r.Query.Get("activate") == "true") {
		f.status = pending
		s.challenge(r, u, f)
	}
	s.byUser[u.ID] = append(s.factors(u), f)
	f.recordActive(r, u)
	return endpoint.OK(f.render(r, u))
}

// recordActive records the activation of a factor that is active.
func (f *factor) recordActive(r *endpoint.Request, u User) {
	if f.status == active {
		record(r, u, f, syslog.Event{Type: "user.mfa.factor.activate"})
	}
}

var phoneNumber = regexp.MustCompile(`^\+?[0-9][0-9 ().-]{5,20}$`)

// prepare checks and completes what the kind of factor needs.
func (f *factor) prepare(u User, in enrollment) (bad endpoint.Answer, ok bool) {
	if f.profile == nil {
		f.profile = object{}
	}
	get := func(key string) string {
		v, _ := f.profile[key].(string)
		return v
	}
	switch f.kind.name {
	case "sms", "call":
		if !phoneNumber.MatchString(get("phoneNumber")) {
			return endpoint.Fail("E0000098"), false
		}
	case "email":
		f.profile["email"] = cmp.Or(get("email"), u.Email)
	case "question":
		f.answer = get("answer")
		delete(f.profile, "answer")
		switch {
		case get("question") == "":
			return endpoint.Invalid("question", "question: The field cannot be left blank"), false
		case len(f.answer) < 4:
			return endpoint.Invalid("answer", "answer: The security question answer must be at least 4 characters in length"), false
		}
		f.profile["questionText"] = questionText(get("question"))
	case "token:software:totp":
		f.secret = newSecret(f.id)
		f.profile["credentialId"] = cmp.Or(get("credentialId"), u.Login)
	case "push":
		f.profile = phone(u)
	case "u2f", "webauthn":
		f.code = newCode(f.id)
	default: // tokens
		f.code = newCode(f.id)
		f.profile["credentialId"] = cmp.Or(get("credentialId"), u.Login)
	}
	return bad, true
}

// challenge sends the user what a verification or an activation needs.
func (s *Store) challenge(r *endpoint.Request, u User, f *factor) {
	now := r.Now()
	switch {
	case f.kind.codes:
		life := pushLife
		if n, err := strconv.Atoi(r.Query.Get("tokenLifetimeSeconds")); err == nil && n > 0 {
			life = time.Duration(n) * time.Second
		}
		f.code, f.codeUntil = newCode(r.NewID("code")), now.Add(life)
		record(r, u, f, syslog.Event{Type: f.kind.sends})
	case f.kind.name == "push":
		f.activation = s.begin(u, f.id, now)
	}
}

func (s *Store) drop(u User, f *factor) {
	s.byUser[u.ID] = slices.DeleteFunc(slices.Clone(s.factors(u)), func(x *factor) bool { return x == f })
}

func (s *Store) delete(_ *endpoint.Request, u User, f *factor) endpoint.Answer {
	s.drop(u, f)
	return endpoint.Answer{Status: http.StatusNoContent}
}

func (s *Store) reset(_ *endpoint.Request, u User) endpoint.Answer {
	s.byUser[u.ID] = []*factor{}
	return endpoint.OK(object{})
}

// activate serves POST /users/{id}/factors/{factor}/lifecycle/activate.
func (s *Store) activate(r *endpoint.Request, u User, f *factor) endpoint.Answer {
	if f.status == active {
		return endpoint.Invalid("factorId", "The factor is active already.")
	}
	if f.kind.name == "push" { // which begins anew
		s.challenge(r, u, f)
		return endpoint.OK(f.activating(self(r, u, f.id), "WAITING"))
	}
	if bad, ok := s.check(r, u, f, !f.kind.signed); !ok {
		return bad
	}
	return f.become(r, u)
}

// become makes a factor active.
func (f *factor) become(r *endpoint.Request, u User) endpoint.Answer {
	f.status, f.updated = active, r.Now()
	f.recordActive(r, u)
	return endpoint.OK(f.render(r, u))
}

// pollActivation serves POST …/lifecycle/activate/poll: of a push.
func (s *Store) pollActivation(r *endpoint.Request, u User, f *factor) endpoint.Answer {
	if f.status == active {
		return endpoint.OK(f.render(r, u))
	}
	result, _ := f.activation.poll(r.Now())
	if result == "SUCCESS" {
		return f.become(r, u)
	}
	return endpoint.OK(f.activating(self(r, u, f.id), result))
}

// resend sends the passcode again, a new one.
func (s *Store) resend(r *endpoint.Request, u User, f *factor) endpoint.Answer {
	if !f.kind.codes {
		return endpoint.Invalid("factorId", "Nothing can be sent again for a "+f.kind.name+" factor.")
	}
	s.challenge(r, u, f)
	return endpoint.OK(f.render(r, u))
}
