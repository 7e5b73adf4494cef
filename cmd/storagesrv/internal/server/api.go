package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/metadata"
)

// What follows answers web apps on the recorder's own paths, by token alone.

// call answers as the recorder does about a call.
func (s *Server) call(w *response, r *http.Request) error {
	asked, err := s.byPolicy(s.config.API, askedCall)(r)
	if err != nil {
		return err
	}
	call, err := s.lookUp(r.Context(), asked.callID)
	if err != nil {
		return err
	}
	writeJSON(w, call.Raw)
	return nil
}

// errNoKeys is the problem of whoever asks for links, or has one, where none
// can be signed.
var errNoKeys = notFound.because("this server has no signed links: its configuration names no signing_keys")

// A signer makes links of one request.
type signer struct {
	keys    *access.Keys
	origin  access.Origin
	expires time.Time
	subject string
}

// newSigner returns a signer of links that are good for some seconds; "" stands
// for the default.
func (s *Server) newSigner(r *http.Request, seconds, subject string) (*signer, error) {
	keys := s.config.Links
	if keys == nil {
		return nil, errNoKeys
	}
	origin, err := s.origin(r)
	if err != nil {
		return nil, badRequest.because("the Host header names no host that links could lead to")
	}
	lifetime := time.Duration(0)
	if seconds != "" {
		n, err := strconv.ParseUint(seconds, 10, 32)
		if lifetime = time.Duration(n) * time.Second; err != nil || lifetime == 0 {
			lifetime = -1 // which links never are good for
		}
	}
	expires, err := keys.Expires(lifetime)
	if err != nil {
		return nil, badRequest.because("expires must be a whole number of seconds from 1 to %d", int64(keys.MaxExpires().Seconds()))
	}
	return &signer{keys, origin, expires, access.Printable(subject)}, nil
}

func (s *signer) sign(callID string, o options) string {
	return s.keys.Sign(access.Link{Origin: s.origin, CallID: callID, FileID: o.fileID, Download: o.download, Expires: s.expires, Subject: s.subject})
}

// fileURL answers with a link to a recording. Whether there is one is not
// looked up.
func (s *Server) fileURL(w *response, r *http.Request) error {
	asked, err := s.byPolicy(s.config.API, askedFile)(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	expires, err := once(query, "expires")
	if err != nil {
		return err
	}
	subject, err := once(query, "subject")
	if err != nil {
		return err
	}
	signer, err := s.newSigner(r, expires, subject)
	if err != nil {
		return err
	}
	return writeLinks(w, struct {
		SignedURL string `json:"signed_url"`
	}{signer.sign(asked.callID, asked.options)})
}

// once returns a parameter that must not be given twice, or empty; "" if it is
// not given.
func once(query url.Values, name string) (string, error) {
	if values := query[name]; len(values) > 1 || len(values) == 1 && values[0] == "" {
		return "", badRequest.because("%s must be given once, with a value", name)
	}
	return query.Get(name), nil
}

const (
	maxOrder = 64 << 10 // bytes of an order
	maxLinks = 1000     // of one order
)

// An order is for links to a page of calls.
type order struct {
	Expires  json.Number `json:"expires"`
	Subject  string      `json:"subject"`
	Download bool        `json:"download"`
	Calls    []struct {
		CallID string `json:"call_id"`
		FileID string `json:"file_id"`
	} `json:"calls"`
}

// A signedCall is a link, or the name of the problem why there is none.
type signedCall struct {
	CallID    string `json:"call_id"`
	FileID    string `json:"file_id,omitempty"`
	SignedURL string `json:"signed_url,omitempty"`
	Error     string `json:"error,omitempty"`
}

// fileURLs answers with links to a page of calls.
func (s *Server) fileURLs(w *response, r *http.Request) error {
	if err := s.admit(s.config.API, r, asked{}); err != nil {
		return err
	}
	order, err := readOrder(r.Body)
	if err != nil {
		return err
	}
	signer, err := s.newSigner(r, order.Expires.String(), order.Subject)
	if err != nil {
		return err
	}
	links := make([]signedCall, len(order.Calls))
	for i, c := range order.Calls {
		links[i] = signer.signCall(c.CallID, options{c.FileID, order.Download})
	}
	return writeLinks(w, struct {
		URLs []signedCall `json:"urls"`
	}{links})
}

func readOrder(body io.Reader) (o order, err error) {
	text, err := io.ReadAll(io.LimitReader(body, maxOrder+1))
	if err != nil {
		return order{}, fmt.Errorf("%w: %w", badRequest.because("the body did not come whole, and soon enough"), err)
	}
	switch err := json.Unmarshal(text, &o); {
	case len(text) > maxOrder:
		return order{}, badRequest.because("the body must not be larger than %d bytes", maxOrder)
	case err != nil:
		return order{}, badRequest.because(`the body must be JSON such as {"expires": 3600, "calls": [{"call_id": "..."}]}`)
	case len(o.Calls) > maxLinks:
		return order{}, badRequest.because("links to at most %d calls can be asked for at once", maxLinks)
	}
	return o, nil
}

func (s *signer) signCall(callID string, o options) signedCall {
	signed := signedCall{CallID: bounded(callID), FileID: bounded(o.fileID)}
	switch {
	case !metadata.ValidID(callID):
		signed.Error = badCallID.name
	case o.fileID != "" && !metadata.ValidFileID(o.fileID):
		signed.Error = badRequest.name
	default:
		signed.SignedURL = s.sign(callID, o)
	}
	return signed
}
