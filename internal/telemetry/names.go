// This file holds the attributes and bounds their values: whatever a request, an
// answer or an error contains, only listed words become labels.

package telemetry

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Attributes of this library. All others are those of the HTTP semantic
// conventions.
const (
	keyClass      = attribute.Key("oktaretry.class")
	keyCode       = attribute.Key("oktaretry.code")
	keyRequestID  = attribute.Key("oktaretry.request_id")
	keyBucket     = attribute.Key("oktaretry.bucket")
	keyLimit      = attribute.Key("oktaretry.limit")
	keyRemaining  = attribute.Key("oktaretry.remaining")
	keyReset      = attribute.Key("oktaretry.reset") // Unix seconds, on Okta's clock
	keyAttempts   = attribute.Key("oktaretry.attempts")
	keyStop       = attribute.Key("oktaretry.stop")
	keyWaited     = attribute.Key("oktaretry.waited") // seconds
	keyNeeded     = attribute.Key("oktaretry.needed") // seconds
	keyWait       = attribute.Key("oktaretry.wait")   // seconds
	keyWaitReason = attribute.Key("oktaretry.wait.reason")
	keyPoll       = attribute.Key("oktaretry.poll") // true on the attempts that poll
	keyDuration   = attribute.Key("oktaretry.duration")
	keyKind       = attribute.Key("oktaretry.rate_limit.kind")
	keyScope      = attribute.Key("oktaretry.circuit.scope")
	keyCircuit    = attribute.Key("oktaretry.circuit.name")
	keyFrom       = attribute.Key("oktaretry.circuit.from")
	keyTo         = attribute.Key("oktaretry.circuit.to")
)

// knownMethods bounds the method attribute, for a method can be any text. The
// conventions require that an operator can replace the list.
var knownMethods = sync.OnceValue(func() map[string]attribute.KeyValue {
	return methodsOf(os.Getenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"))
})

func methodsOf(list string) map[string]attribute.KeyValue {
	names := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect, "QUERY",
	}
	if list != "" {
		names = strings.Split(list, ",")
	}
	known := make(map[string]attribute.KeyValue, len(names))
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" {
			known[name] = semconv.HTTPRequestMethodKey.String(name)
		}
	}
	return known
}

func methodAttribute(method string) attribute.KeyValue {
	if m, ok := knownMethods()[method]; ok {
		return m
	}
	return semconv.HTTPRequestMethodOther
}

// ShownMethod returns the method as span names and error texts show it.
func ShownMethod(method string) string {
	if _, ok := knownMethods()[method]; ok {
		return method
	}
	return "HTTP"
}

// shownScheme bounds the scheme, for a URL made by hand can have any.
func shownScheme(scheme string) string {
	if scheme == "http" || scheme == "https" {
		return scheme
	}
	return "other"
}

// ProtocolVersion returns network.protocol.version; "" if the base leaves it out.
func ProtocolVersion(resp *http.Response) string {
	switch {
	case resp == nil || resp.ProtoMajor < 1 || resp.ProtoMajor > 3:
		return ""
	case resp.ProtoMajor == 1 && resp.ProtoMinor == 0:
		return "1.0"
	case resp.ProtoMajor == 1:
		return "1.1"
	}
	return strconv.Itoa(resp.ProtoMajor)
}
