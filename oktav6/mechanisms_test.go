package oktav6_test

import (
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/oktatest"
)

// The SDK decodes strictly: a string in an object's place, or an unknown kind, is an error.

func TestSDKDecodesTheFakesGroupRules(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithGroups(1), oktatest.WithRuleLock(0))
	client := newClient(t.Context(), t, org)
	api, ctx := client.GroupRuleAPI, t.Context()

	var body okta.CreateGroupRuleRequest
	unmarshal(t, `{"type":"group_rule","name":"eng","conditions":{"expression":{"type":"urn:okta:expression:1.0","value":"user.department==\"Eng\""}},
		"actions":{"assignUserToGroups":{"groupIds":["`+org.GroupIDs()[0]+`"]}}}`, &body)
	rule, _, err := api.CreateGroupRule(ctx).GroupRule(body).Execute()
	if err != nil || rule.GetStatus() != "INACTIVE" || rule.Actions.AssignUserToGroups.GroupIds[0] != org.GroupIDs()[0] {
		t.Fatal(rule, err)
	}
	if _, err = api.ActivateGroupRule(ctx, rule.GetId()).Execute(); err != nil {
		t.Error(err)
	}
	if rule, _, err = api.GetGroupRule(ctx, rule.GetId()).Execute(); err != nil || rule.GetStatus() != "ACTIVE" {
		t.Error(rule, err)
	}
	if rules, _, err := api.ListGroupRules(ctx).Expand("groupIdToGroupNameMap").Execute(); err != nil || len(rules) != 1 {
		t.Error(rules, err)
	}
	if _, err = api.DeactivateGroupRule(ctx, rule.GetId()).Execute(); err != nil {
		t.Error(err)
	}
	if _, err = api.DeleteGroupRule(ctx, rule.GetId()).RemoveUsers(true).Execute(); err != nil {
		t.Error(err)
	}
}

func TestSDKDecodesTheFakesFactors(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.WithFactorResult("SUCCESS", 1))
	client := newClient(t.Context(), t, org)
	api, ctx, user := client.UserFactorAPI, t.Context(), org.UserIDs()[0]

	factors, _, err := api.ListFactors(ctx, user).Execute()
	if err != nil || len(factors) != 1 || factors[0].UserFactorPush == nil {
		t.Fatal(factors, err)
	}
	push := factors[0].UserFactorPush.GetId()
	verified, _, err := api.VerifyFactor(ctx, user, push).Execute()
	if err != nil || verified.GetFactorResult() != "WAITING" {
		t.Fatal(verified, err)
	}
	var links struct {
		Links struct{ Poll struct{ Href string } } `json:"_links"`
	}
	unmarshal(t, marshal(t, verified), &links)
	transaction := path.Base(links.Links.Poll.Href)
	for _, want := range []string{"WAITING", "SUCCESS"} {
		status, _, err := api.GetFactorTransactionStatus(ctx, user, push, transaction).Execute()
		if err != nil || !strings.Contains(marshal(t, status), want) {
			t.Errorf("%s, %v, want %s", marshal(t, status), err, want)
		}
	}

	for _, body := range []string{
		`{"factorType":"push","provider":"OKTA"}`,
		`{"factorType":"sms","provider":"OKTA","profile":{"phoneNumber":"+15554151337"}}`,
		`{"factorType":"call","provider":"OKTA","profile":{"phoneNumber":"+15554151337"}}`,
		`{"factorType":"email","provider":"OKTA","profile":{"email":"a@example.com"}}`,
		`{"factorType":"token:software:totp","provider":"GOOGLE"}`,
		`{"factorType":"question","provider":"OKTA","profile":{"question":"disliked_food","answer":"mayonnaise"}}`,
		`{"factorType":"token:hardware","provider":"YUBICO"}`,
		`{"factorType":"token:hotp","provider":"CUSTOM"}`,
		`{"factorType":"token","provider":"RSA","profile":{"credentialId":"a"}}`,
		`{"factorType":"u2f","provider":"FIDO"}`,
		`{"factorType":"webauthn","provider":"FIDO"}`,
	} {
		var in okta.ListFactors200ResponseInner
		unmarshal(t, body, &in)
		made, _, err := api.EnrollFactor(ctx, user).Body(in).Execute()
		if err != nil {
			t.Errorf("enroll %s: %v", body, err)
			continue
		}
		var f struct{ ID, Status string }
		unmarshal(t, marshal(t, made), &f)
		if _, _, err = api.GetFactor(ctx, user, f.ID).Execute(); err != nil {
			t.Errorf("get %s: %v", body, err)
		}
		if f.Status == "ACTIVE" {
			continue
		}
		code, _ := org.Passcode(user, f.ID)
		activation := okta.UserFactorActivateRequest{TokenSoftwareTotp: &okta.TokenSoftwareTotp{PassCode: &code}}
		if _, _, err = api.ActivateFactor(ctx, user, f.ID).Body(activation).Execute(); err != nil {
			t.Errorf("activate %s: %v", body, err)
		}
	}
	if all, _, err := api.ListFactors(ctx, user).Execute(); err != nil || len(all) != 12 {
		t.Errorf("%d factors, %v, want 12", len(all), err)
	}
	if catalog, _, err := api.ListSupportedFactors(ctx, user).Execute(); err != nil || len(catalog) == 0 {
		t.Error(catalog, err)
	}
	if questions, _, err := api.ListSupportedSecurityQuestions(ctx, user).Execute(); err != nil || len(questions) == 0 {
		t.Error(questions, err)
	}
	if _, err := api.UnenrollFactor(ctx, user, push).Execute(); err != nil {
		t.Error(err)
	}
}

func TestSDKDecodesTheFakesSystemLog(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.WithLimit("GET /api/v1/users", 1))
	client := newClient(t.Context(), t, org)
	ctx := t.Context()
	if _, err := client.UserAPI.DeleteUser(ctx, org.UserIDs()[0]).Execute(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.UserAPI.ListUsers(ctx).Execute(); err != nil {
		t.Fatal(err)
	}
	org.AddLogEvent("user.session.start", nil)
	events, resp, err := client.SystemLogAPI.ListLogEvents(ctx).Filter(`severity pr`).Execute()
	if err != nil || len(events) != 3 {
		t.Fatal(len(events), err)
	}
	if e := events[0]; e.GetEventType() != "user.lifecycle.deactivate" || e.Client.UserAgent.GetRawUserAgent() == "" || e.Target[0].GetAlternateId() != "user00000@example.com" {
		t.Error(marshal(t, e))
	}
	if e := events[1]; e.GetEventType() != "system.org.rate_limit.warning" || e.DebugContext.DebugData["threshold"] == nil {
		t.Error(marshal(t, e))
	}
	if !resp.HasNextPage() {
		t.Error("polling has no next page")
	}
}

func unmarshal(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
