// This file holds factors: a push that a user answers after a while.

package oktatest

import (
	"net/http"
	"sync"
	"time"
)

// pushLife is how long a push waits for its user; Okta's lives about as long.
const pushLife = 5 * time.Minute

// factors holds the verifications under way.
type factors struct {
	mu           sync.Mutex
	result       string
	waits        int
	pushes       int
	transactions map[string]*transaction
}

type transaction struct {
	user, factor string
	result       string // what it will come to
	waits        int    // polls that still answer WAITING; negative: all
	expires      time.Time
	done         string // the result, once it is there
}

func (f *factors) init(cfg config) {
	f.result, f.waits = cfg.factorResult, cfg.factorWaits
	f.transactions = map[string]*transaction{}
}

// SetFactorResult changes what WithFactorResult has set, for verifications
// that begin later.
func (o *Okta) SetFactorResult(result string, waits int) {
	o.factors.mu.Lock()
	defer o.factors.mu.Unlock()
	o.factors.result, o.factors.waits = result, waits
}

// Pushes is the number of pushes sent to users: one for each verification
// begun.
func (o *Okta) Pushes() int {
	o.factors.mu.Lock()
	defer o.factors.mu.Unlock()
	return o.factors.pushes
}

func (o *Okta) factorRoutes(add func(string, func(*call) *reply)) {
	const transaction = "/api/v1/users/{id}/factors/{factor}/transactions/{transaction}"
	add("GET /api/v1/users/{id}/factors", o.withUser(o.listFactors))
	add("POST /api/v1/users/{id}/factors/{factor}/verify", o.withUser(o.verifyFactor))
	add("GET "+transaction, o.withUser(o.pollFactor))
	add("DELETE "+transaction, o.withUser(o.cancelFactor))
}

// listFactors gives each user one push factor. Verification takes any id.
func (o *Okta) listFactors(c *call, u *user) *reply {
	id := numberedID("opf", u.num)
	self := c.base() + "/api/v1/users/" + u.id + "/factors/" + id
	return c.json(http.StatusOK, []any{map[string]any{
		"id":          id,
		"factorType":  "push",
		"provider":    "OKTA",
		"vendorName":  "OKTA",
		"status":      "ACTIVE",
		"created":     timestamp(u.created),
		"lastUpdated": timestamp(u.created),
		"_links": links{
			"self":   link(self, http.MethodGet, http.MethodDelete),
			"verify": link(self+"/verify", http.MethodPost),
		},
	}})
}

// verifyFactor sends the user a push.
func (o *Okta) verifyFactor(c *call, u *user) *reply {
	f := &o.factors
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pushes++
	id := o.newID("v2mst.")
	t := &transaction{
		user: u.id, factor: c.vars[1],
		result: f.result, waits: f.waits,
		expires: o.now().Add(pushLife),
	}
	f.transactions[id] = t
	return c.verification(http.StatusCreated, id, t, "WAITING")
}

// pollFactor replies with how the verification stands.
func (o *Okta) pollFactor(c *call, _ *user) *reply {
	return o.withTransaction(c, func(id string, t *transaction) *reply {
		switch {
		case t.done != "":
		case o.now().After(t.expires):
			t.done = "TIMEOUT"
		case t.waits == 0:
			t.done = t.result
		case t.waits > 0:
			t.waits--
		}
		if t.done == "" {
			return c.verification(http.StatusOK, id, t, "WAITING")
		}
		return c.verification(http.StatusOK, id, t, t.done)
	})
}

func (o *Okta) cancelFactor(c *call, _ *user) *reply {
	return o.withTransaction(c, func(id string, t *transaction) *reply {
		if t.done == "" {
			t.done = "CANCELLED"
		}
		return c.noContent()
	})
}

func (o *Okta) withTransaction(c *call, f func(string, *transaction) *reply) *reply {
	o.factors.mu.Lock()
	defer o.factors.mu.Unlock()
	id := c.vars[2]
	t := o.factors.transactions[id]
	if t == nil || t.factor != c.vars[1] {
		return c.fail("E0000191")
	}
	return f(id, t)
}

// verification replies with the state of a verification; only one that waits
// has links to poll and cancel it.
func (c *call) verification(status int, id string, t *transaction, result string) *reply {
	factor := c.base() + "/api/v1/users/" + t.user + "/factors/" + t.factor
	body := map[string]any{"factorResult": result}
	if result == "WAITING" {
		body["expiresAt"] = timestamp(t.expires)
		body["_links"] = links{
			"poll":   link(factor+"/transactions/"+id, http.MethodGet),
			"cancel": link(factor+"/transactions/"+id, http.MethodDelete),
		}
	} else {
		body["_links"] = links{
			"verify": link(factor+"/verify", http.MethodPost),
			"factor": link(factor, http.MethodGet, http.MethodDelete),
		}
	}
	return c.json(status, body)
}
