// Package generic answers the operations of Okta's API that nobody has written by
// hand, from one store: what is created can be read, listed, changed, deleted,
// activated and deactivated, and every answer has the type that Okta's OpenAPI
// description gives it.
//
// What a kind of resource does beyond that is laid on top by rules (see rule): its
// name in errors, the beginning of its ids, what it refuses.
package generic

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/openapi"
)

// Store holds all objects. It knows the time only from its requests, starts no
// goroutines and is safe for concurrent use. The same requests in the same order
// get the same answers.
type Store struct {
	cfg Config

	mu      sync.Mutex
	objects map[string]*Object   // by their paths
	lists   map[string][]*Object // by the path of their collection, in order of creation
	seeded  map[string]bool      // collections that have got what they hold from the beginning
	last    uint64               // number of the last object

	goneMu sync.Mutex
	gone   []string // ids of what was kept elsewhere and is deleted, whose objects are still here
}

// Config is what a Store needs of the fake.
type Config struct {
	// NewID makes an id that was not used yet.
	NewID func(prefix string) string

	// Find returns an object that is kept elsewhere, by the template of its kind
	// ("/api/v1/users/{}") and the id, login or name in a path: its own id and its
	// JSON. It is called with the Store's lock held and must not call the Store.
	Find func(template, key, base string) (id string, body map[string]any, ok bool)

	// Kinds are the kinds of resources.
	Kinds *Kinds
}

// Kinds is what is known of Okta's kinds of resources. It never changes and can be
// shared by Stores.
type Kinds struct {
	rules   map[string]Rule
	answers map[string]func(*Call) *Response
	api     func() *api
}

// NewKinds makes Kinds of the rules for what kinds of resources do beyond what all
// do, by the template of an item ("/api/v1/apps/{}"), and of answers that are given
// by hand, by template and whatever the method; an answer of nil leaves the request
// to all else.
func NewKinds(rules map[string]Rule, answers map[string]func(*Call) *Response) *Kinds {
	return &Kinds{rules, answers, sync.OnceValue(func() *api { return newAPI(openapi.Load(), rules) })}
}

// Elsewhere are the templates of the kinds that Config.Find finds.
const (
	Users  = "/api/v1/users/{}"
	Groups = "/api/v1/groups/{}"
)

// New makes an empty Store.
func New(cfg Config) *Store {
	return &Store{cfg: cfg, objects: map[string]*Object{}, lists: map[string][]*Object{}, seeded: map[string]bool{}}
}

// Request is a request to answer.
type Request struct {
	Method   string
	Segments []string // of the path, decoded
	Query    url.Values
	Body     []byte
	Base     string // scheme and host, for links
	Now      time.Time

	// Filter, if not nil, leaves an object of a list out if it returns false; get
	// returns a field by its path, "profile.name".
	Filter func(get func(field string) string) bool
}

// Response is an answer.
type Response struct {
	Status  int
	Failure *Failure // an error, in place of a body
	Body    any      // JSON; nil: none
	Text    string   // a body that is no JSON
	Media   string   // the text's
	List    []*Entry // the whole of a list, whose page the caller cuts, if IsList
	IsList  bool     // the body is the List
	Page    int      // entries of a page, unless the request says
	MaxPage int      // entries of a page at most
}

// Entry is an entry of a list.
type Entry struct {
	Number uint64 // of all objects, in order of creation
	ID     string
	Body   any
}

// Failure is an error of Okta's.
type Failure struct {
	Status  int
	Code    string
	Summary string // empty: the code's own
	Causes  []string
}

// Object is one resource.
type Object struct {
	ID      string
	Path    string         // with ids in the place of names
	Body    map[string]any // what clients have set; what the server makes is added when it is shown
	Created time.Time
	Updated time.Time

	store  *Store
	number uint64
	parent string // the path of its collection
	rule   *Rule
	typ    *openapi.Type // of which it was created
	invent bool          // made by the server: all of its fields are shown
}

// Siblings are the objects of its collection, itself included, in order of creation.
// The slice must not be changed.
func (o *Object) Siblings() []*Object { return o.store.lists[o.parent] }

// Known reports whether Okta describes an operation, and if not, whether it
// describes the path with other methods.
func Known(method string, segments []string) (operation, path bool) {
	p := openapi.Load().Find(segments)
	if p == nil {
		return false, false
	}
	return p.Operations[method] != nil, true
}

// Operations is the number of operations that Okta describes.
func Operations() int { return len(openapi.Load().Operations) }

// Answer answers a request; false if Okta describes no such path.
func (s *Store) Answer(r *Request) (*Response, bool) {
	p := openapi.Load().Find(r.Segments)
	if p == nil {
		return nil, false
	}
	op := p.Operations[r.Method]
	if op == nil {
		return fail(405, "E0000022"), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropGone()
	c := &Call{store: s, Request: r, op: op, at: s.cfg.Kinds.api().places[p]}
	if f := c.resolve(); f != nil {
		return &Response{Status: f.Status, Failure: f}, true
	}
	if f := c.decode(); f != nil {
		return &Response{Status: f.Status, Failure: f}, true
	}
	return c.answer(), true
}

// Forget takes out all that belongs to something kept elsewhere, by its id, which is used
// by nothing else: what lies below it, and what stands for it below others, as an
// assignment to an app does. It may be called while Config.Find is under way.
func (s *Store) Forget(id string) {
	s.goneMu.Lock()
	defer s.goneMu.Unlock()
	s.gone = append(s.gone, id)
}

// dropGone takes out what Forget was called for.
func (s *Store) dropGone() {
	s.goneMu.Lock()
	ids := s.gone
	s.gone = nil
	s.goneMu.Unlock()
	if len(ids) == 0 {
		return
	}
	theirs := func(path string) bool {
		return slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool { return slices.Contains(ids, segment) })
	}
	maps.DeleteFunc(s.objects, func(path string, _ *Object) bool { return theirs(path) })
	maps.DeleteFunc(s.lists, func(path string, _ []*Object) bool { return theirs(path) })
	maps.DeleteFunc(s.seeded, func(path string, _ bool) bool { return theirs(path) })
	for path, list := range s.lists {
		if gone := func(o *Object) bool { return theirs(o.Path) }; slices.ContainsFunc(list, gone) {
			s.lists[path] = slices.DeleteFunc(slices.Clone(list), gone)
		}
	}
}

// Add puts an object into a collection as if it had been there before, and returns
// its id: for what no request can create, a device or a token. The path is the
// collection's. It reports false if Okta describes no such collection.
func (s *Store) Add(segments []string, body map[string]any, now time.Time) (id string, ok bool) {
	p := openapi.Load().Find(append(slices.Clone(segments), "x"))
	if p == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.cfg.Kinds.api().places[p]
	if at.shape != item || at.elsewhere() {
		return "", false
	}
	c := &Call{store: s, Request: &Request{Now: now}, at: at}
	given, _ := clone(body).(map[string]any)
	if given == nil {
		given = map[string]any{}
	}
	key, _ := given[at.key].(string)
	o := c.add(at, joined(segments), key, given)
	o.invent = true
	return o.ID, true
}

// joined is a path of segments, each of them escaped.
func joined(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

func fail(status int, code string, causes ...string) *Response {
	return &Response{Status: status, Failure: &Failure{Status: status, Code: code, Causes: causes}}
}
