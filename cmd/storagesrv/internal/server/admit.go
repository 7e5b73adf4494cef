package server

import (
	"net/http"

	"storagesrv/cmd/storagesrv/internal/access"
)

// An asked is what a request asks for, and may have.
type asked struct {
	callID string
	options
	cookie *http.Cookie // to be set when playback begins; nil for none
}

// An admission reads what a request asks for, and decides whether it may have it.
type admission func(*http.Request) (asked, error)

// byPolicy is the admission of whom a policy lets in, to what read says.
func (s *Server) byPolicy(policy *access.Policy, read func(*http.Request) (asked, error)) admission {
	return func(r *http.Request) (asked, error) {
		asked, err := read(r)
		if err != nil {
			return asked, err
		}
		return asked, s.admit(policy, r, asked)
	}
}

// admit notes who asks, if the policy lets them in.
func (s *Server) admit(policy *access.Policy, r *http.Request, asked asked) (err error) {
	rec := recordOf(r.Context())
	rec.callID, rec.fileID = asked.callID, asked.fileID
	scheme, host := reached(r)
	rec.caller, err = policy.Admit(access.Request{
		HTTP: r, Client: rec.client, CallID: asked.callID, FileID: asked.fileID, Proto: scheme, Host: host,
	})
	return err
}

// askedRecording reads a request to play.
func askedRecording(r *http.Request) (asked, error) { return readAsked(r, true) }

// askedFile is askedRecording for a path of the recorder's, which has no
// extension.
func askedFile(r *http.Request) (asked, error) { return readAsked(r, false) }

func readAsked(r *http.Request, withExt bool) (asked, error) {
	id, err := callID(r, withExt)
	if err != nil {
		return asked{}, err
	}
	options, err := parseOptions(r)
	return asked{callID: id, options: options}, err
}

// askedCall reads a request about a call and all its files.
func askedCall(r *http.Request) (asked, error) {
	id, err := callID(r, false)
	return asked{callID: id}, err
}

// byLink is the admission of whoever holds a signed link, whose path has to be
// spelled as it was signed, too.
func (s *Server) byLink(r *http.Request) (asked, error) {
	if s.config.Links == nil {
		return asked{}, errNoKeys
	}
	id, err := callID(r, false)
	if err != nil {
		return asked{}, err
	}
	rec := recordOf(r.Context())
	rec.callID = id
	origin, err := s.origin(r)
	if err != nil || rec.pathID != id {
		return asked{}, access.ErrLinkInvalid
	}
	held, err := s.config.Links.Admit(access.Request{HTTP: r, Client: rec.client, CallID: id}, origin)
	if err != nil {
		return asked{}, err
	}
	rec.caller, rec.fileID = held.Caller(), held.FileID
	return asked{id, options{held.FileID, held.Download}, held.Cookie}, nil
}
