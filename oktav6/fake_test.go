package oktav6_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/oktatest"
)

// undecodable are operations whose answers the SDK cannot decode, whatever Okta
// answers: it tries several types one after the other and wants exactly one to fit,
// and their fields are the same, none of them required.
var undecodable = []string{"AddJwk", "ActivateOAuth2ClientJsonWebKey", "ExecuteInlineHook"}

// TestTheSDKDecodesAllOfTheFakesAnswers calls every operation that the SDK has: a
// string in an object's place, or a required field that is missing, fails it.
func TestTheSDKDecodesAllOfTheFakesAnswers(t *testing.T) {
	t.Parallel()
	fake := oktatest.New(oktatest.WithUsers(3), oktatest.WithGroups(3), oktatest.WithoutLimits())
	f := &fakeCaller{t: t, fake: fake, served: map[string]int{}}
	f.client = f.newClient(completed{fake.Transport(), map[string]string{
		"/apps":                    `{"name": "bookmark", "label": "Bookmark", "signOnMode": "BOOKMARK"}`,
		"/apps/{}":                 `{"label": "Bookmark", "signOnMode": "BOOKMARK"}`,
		"/apps/{}/users":           `{"id": "` + fake.UserIDs()[0] + `"}`,
		"/authenticators/{}":       `{"key": "custom_otp"}`,
		"/meta/types/user":         `{"displayName": "Contractor"}`,
		"/authenticators":          `{"key": "custom_app", "name": "App"}`,
		"/authorizationServers":    `{"audiences": ["api://x"]}`,
		"/authorizationServers/{}": `{"audiences": ["api://x"]}`,
		"/eventHooks":              `{"events": {"type": "EVENT_TYPE", "items": []}}`,
		"/idps":                    `{"type": "OIDC"}`,
		"/idps/{}":                 `{"type": "OIDC"}`,
		"/inlineHooks":             `{"type": "com.okta.saml.tokens.transform"}`,
		"/linkedObjects":           `{"primary": {"name": "manager"}, "associated": {"name": "report"}}`,
		"/policies":                `{"type": "PASSWORD"}`,
		"/policies/{}":             `{"type": "PASSWORD"}`,
		"/policies/{}/rules":       `{"type": "PASSWORD"}`,
		"/policies/{}/rules/{}":    `{"type": "PASSWORD"}`,
		"/roles":                   `{"type": "SUPER_ADMIN"}`,
		"/trustedOrigins":          `{"origin": "https://example.com"}`,
		"/trustedOrigins/{}":       `{"origin": "https://example.org"}`,
		"/zones":                   `{"type": "IP"}`,
		"/zones/{}":                `{"type": "IP"}`,
	}, new(atomic.Int64)})
	f.probe = f.newClient(roundTripper(func(r *http.Request) (*http.Response, error) {
		f.path = r.URL.Path
		return nil, errors.New("only looking")
	}))
	services := reflect.ValueOf(f.client).Elem()
	probes := reflect.ValueOf(f.probe).Elem()
	for i := range services.NumField() {
		if field := services.Type().Field(i); field.IsExported() && field.Type.Kind() == reflect.Interface && strings.HasSuffix(field.Name, "API") {
			f.callAll(services.Field(i).Elem(), probes.Field(i).Elem(), field.Type)
		}
	}
	if n := f.served["decoded"]; n < 680 {
		t.Errorf("only %d answers were decoded: %v", n, f.served)
	}
	if got := fake.Unserved(); len(got) > 0 {
		t.Errorf("not served: %v", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// completed sends bodies with a name, and with what else Okta demands at a path that
// ends so. Both are laid over what the SDK sends, which is empty.
type completed struct {
	http.RoundTripper
	demanded map[string]string
	last     *atomic.Int64 // number of a name
}

func (c completed) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(cmp.Or[io.Reader](r.Body, http.NoBody))
	body := map[string]any{}
	if err != nil || json.Unmarshal(text, &body) != nil || body == nil {
		body = nil
	}
	if body != nil || len(text) == 4 { // null
		if body == nil {
			body = map[string]any{}
		}
		body["name"] = fmt.Sprintf("name %d", c.last.Add(1))
		for end, more := range c.demanded {
			if ends(r.URL.Path, end) {
				json.Unmarshal([]byte(more), &body)
			}
		}
		text, _ = json.Marshal(body)
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return c.RoundTripper.RoundTrip(r)
}

// ends reports whether a path ends in segments, of which {} stands for any.
func ends(path, end string) bool {
	segs, want := strings.Split(path, "/"), strings.Split(strings.Trim(end, "/"), "/")
	if len(segs) < len(want) {
		return false
	}
	for i, s := range segs[len(segs)-len(want):] {
		if s != want[i] && want[i] != "{}" {
			return false
		}
	}
	return true
}

// fakeCaller calls operations of the SDK by their names.
type fakeCaller struct {
	t             *testing.T
	fake          *oktatest.Okta
	client, probe *okta.APIClient
	path          string // that the probe was last asked for
	served        map[string]int
}

func (f *fakeCaller) newClient(rt http.RoundTripper) *okta.APIClient {
	cfg, err := okta.NewConfiguration(okta.WithOrgUrl("https://acme.okta.test"), okta.WithToken("00token"),
		okta.WithHttpClientPtr(&http.Client{Transport: rt}), okta.WithCache(false))
	if err != nil {
		f.t.Fatal(err)
	}
	return okta.NewAPIClient(cfg)
}

func (f *fakeCaller) callAll(service, probe reflect.Value, api reflect.Type) {
	for i := range api.NumMethod() {
		m := api.Method(i)
		if strings.HasSuffix(m.Name, "Execute") {
			continue
		}
		args := f.args(m, probe.MethodByName(m.Name))
		f.fake.Forget()
		err := execute(service.MethodByName(m.Name).Call(args)[0])
		sent := f.fake.Requests()
		switch {
		case err == nil:
			f.served["decoded"]++
		case len(sent) == 0: // the SDK itself cannot send it
			f.served["unsent"]++
		case !sent[0].Generic: // written by hand, and choosy
			f.served["by hand"]++
		case slices.Contains(undecodable, m.Name):
			f.served["undecodable"]++
		default:
			f.t.Errorf("%s: %s %s: %v", m.Name, sent[0].Method, sent[0].Path, err)
		}
	}
}

// args are a call's arguments: the ids of resources that are there.
func (f *fakeCaller) args(m reflect.Method, probe reflect.Value) []reflect.Value {
	args := []reflect.Value{reflect.ValueOf(context.Background())}
	for i := 1; i < m.Type.NumIn(); i++ {
		arg := reflect.New(m.Type.In(i)).Elem()
		if arg.Kind() == reflect.String {
			arg.SetString(fmt.Sprintf("arg%d", i))
		}
		args = append(args, arg)
	}
	f.path = ""
	execute(probe.Call(args)[0])
	segs := strings.Split(strings.Trim(f.path, "/"), "/")
	for at, seg := range segs {
		for i := range args[1:] {
			if arg := args[i+1]; arg.Kind() == reflect.String && seg == arg.String() {
				segs[at] = f.there(segs[:at])
				arg.SetString(segs[at])
			}
		}
	}
	return args
}

// there is the id of a resource in a collection.
func (f *fakeCaller) there(collection []string) string {
	path := "/" + strings.Join(collection, "/")
	switch path {
	case "/api/v1/users":
		return f.fake.UserIDs()[0]
	case "/api/v1/groups":
		return f.fake.GroupIDs()[0]
	}
	if strings.HasPrefix(path, "/api/v1/apps/") && strings.HasSuffix(path, "/policies") {
		path = "/api/v1/policies" // which are assigned
	}
	id, err := f.fake.AddResource(path, nil)
	if err != nil {
		return "x1" // no resource of its own
	}
	return id
}

// execute sends a request of the SDK's with an empty body, and with all that it demands.
func execute(request reflect.Value) error {
	err := executeWith(request, "")
	for range 3 { // one after the other, it names what it wants
		if err == nil {
			return nil
		}
		name, _, demanded := strings.Cut(err.Error(), " is required and must be specified")
		if !demanded {
			return err
		}
		err = executeWith(request, name)
	}
	return err
}

func executeWith(request reflect.Value, demanded string) error {
	for i := range request.NumMethod() {
		m := request.Type().Method(i)
		if m.Type.NumIn() != 2 || m.Type.NumOut() != 1 || m.Type.Out(0) != request.Type() {
			continue
		}
		if v, scalar := plainest(m.Type.In(1)); !scalar || strings.EqualFold(strings.TrimSuffix(m.Name, "_"), demanded) {
			request = request.Method(i).Call([]reflect.Value{v})[0]
		}
	}
	out := request.MethodByName("Execute").Call(nil)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

// plainest is the plainest value that the SDK can send, and whether it is a scalar.
func plainest(t reflect.Type) (v reflect.Value, scalar bool) {
	v = reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.String:
		v.SetString(`name eq "x"`)
		return v, true
	case reflect.Int32, reflect.Int64:
		v.SetInt(5)
		return v, true
	case reflect.Slice:
		return reflect.MakeSlice(t, 0, 0), false
	case reflect.Struct:
		if _, choice := v.Addr().Interface().(json.Marshaler); choice && t.NumField() > 0 && t.Field(0).Type.Kind() == reflect.Pointer {
			if v.Field(0).CanSet() {
				v.Field(0).Set(reflect.New(t.Field(0).Type.Elem()))
			}
		}
		return v, false
	}
	return v, t.Kind() == reflect.Bool
}
