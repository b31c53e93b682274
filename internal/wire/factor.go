// This file holds the answers of factor verifications.

package wire

import (
	"bytes"
	"encoding/json"
)

// maxLinks bounds the poll links of an answer that are read. Okta sends one.
const maxLinks = 32

// ParseFactor returns the factorResult of a factor verification and the href of its
// _links.poll, each empty when absent. poll may be an array of links: then the first
// href that is not empty counts, if it is among the first 32.
//
// Values and broken bodies are as in ParseError; a _links that is cut off is absent.
//
// The href is whatever the server wrote: the caller must check where it points.
func ParseFactor(body []byte) (result, poll string) {
	doc := decode[struct {
		Result string `json:"factorResult"`
		Links  struct {
			Poll json.RawMessage `json:"poll"`
		} `json:"_links"`
	}](body)
	type link struct {
		Href string `json:"href"`
	}
	raw := doc.Links.Poll
	if !bytes.HasPrefix(raw, []byte("[")) {
		return doc.Result, decode[link](raw).Href
	}
	for _, link := range decode[[maxLinks]link](raw) {
		if link.Href != "" {
			return doc.Result, link.Href
		}
	}
	return doc.Result, ""
}
