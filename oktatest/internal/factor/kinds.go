// This file holds the kinds of factors, and their passcodes.

package factor

import (
	"crypto/hmac"
	"crypto/sha1" // as RFC 6238 has it
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"
)

// Statuses of a factor.
const (
	active  = "ACTIVE"
	pending = "PENDING_ACTIVATION"
)

// kind is what factors of a type have in common.
type kind struct {
	name    string
	prefix  string // of ids
	label   string // in the system log
	sends   string // the type of the event when a passcode or push goes out
	pending bool   // an enrollment waits for its activation
	codes   bool   // passcodes are sent
	signed  bool   // by a key, whose signatures are not checked
	by      []string
}

// kinds are the factor types that can be enrolled, with their providers.
var kinds = map[string]kind{
	"push": {name: "push", prefix: "opf", label: "OKTA_VERIFY_PUSH", sends: "system.push.send_factor_verify_push",
		pending: true, by: []string{"OKTA"}},
	"sms": {name: "sms", prefix: "sms", label: "SMS_FACTOR", sends: "system.sms.send_factor_verify_message",
		pending: true, codes: true, by: []string{"OKTA"}},
	"call": {name: "call", prefix: "clf", label: "CALL_FACTOR", sends: "system.voice.send_mfa_challenge_call",
		pending: true, codes: true, by: []string{"OKTA"}},
	"email": {name: "email", prefix: "emf", label: "EMAIL_FACTOR", sends: "system.email.send_factor_verify_message",
		pending: true, codes: true, by: []string{"OKTA"}},
	"question":            {name: "question", prefix: "ufs", label: "SECURITY_QUESTION", by: []string{"OKTA"}},
	"token:software:totp": {name: "token:software:totp", prefix: "ost", label: "OKTA_SOFT_TOKEN", pending: true, by: []string{"OKTA", "GOOGLE"}},
	"token:hardware":      {name: "token:hardware", prefix: "ykf", label: "YUBIKEY_TOKEN", by: []string{"YUBICO"}},
	"token:hotp":          {name: "token:hotp", prefix: "chf", label: "CUSTOM_HOTP", by: []string{"CUSTOM", "OKTA"}},
	"token":               {name: "token", prefix: "rsa", label: "HARDWARE_TOKEN", by: []string{"RSA", "SYMANTEC"}},
	"u2f":                 {name: "u2f", prefix: "fuf", label: "FIDO_U2F", pending: true, signed: true, by: []string{"FIDO"}},
	"webauthn":            {name: "webauthn", prefix: "fwf", label: "FIDO_WEBAUTHN", pending: true, signed: true, by: []string{"FIDO"}},
}

// catalog is the order in which the kinds are listed.
var catalog = []string{"push", "token:software:totp", "sms", "call", "email", "question", "token:hotp", "token:hardware", "token", "u2f", "webauthn"}

// questions are some of those that Okta offers.
var questions = [...][2]string{
	{"disliked_food", "What is the food you least liked as a child?"},
	{"name_of_first_plush_toy", "What is the name of your first stuffed animal?"},
	{"first_award", "What did you earn your first medal or award for?"},
	{"favorite_security_question", "What is your favorite security question?"},
	{"favorite_toy", "What is the toy/stuffed animal you liked the most as a kid?"},
	{"first_computer_game", "What was the first computer game you played?"},
	{"favorite_movie_quote", "What is your favorite movie quote?"},
	{"first_sports_team_mascot", "What was the mascot of the first sports team you played on?"},
	{"first_music_purchase", "What music album or song did you first purchase?"},
	{"favorite_art_piece", "What is your favorite piece of art?"},
}

func questionText(key string) string {
	for _, q := range questions {
		if q[0] == key {
			return q[1]
		}
	}
	return key
}

// step is the window of 30 s that a time lies in.
func step(now time.Time) int64 { return now.Unix() / 30 }

// TOTP is the passcode of a step, by RFC 6238.
func TOTP(secret string, step int64) string {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return ""
	}
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

// newSecret makes a shared secret, the same for the same id.
func newSecret(id string) string {
	return base32.StdEncoding.EncodeToString([]byte((id + "oktatest00")[:10]))
}

// newCode makes a passcode of six digits, the same for the same id.
func newCode(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return fmt.Sprintf("%06d", h.Sum32()%1_000_000)
}
