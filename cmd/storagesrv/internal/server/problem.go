package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/metadata"
	"storagesrv/storage"
	"storagesrv/storage/media"
)

// A problem is a kind of refusal: what a client is told by RFC 9457. It is an
// error that handlers return; because adds what is particular about one.
type problem struct {
	name       string
	status     int
	title      string
	retryAfter int // seconds; 0 = trying again is no use
}

func (p *problem) Error() string { return p.name }

// because returns the problem with a detail for the client's eyes.
func (p *problem) because(format string, args ...any) error {
	return &detailed{p, fmt.Sprintf(format, args...)}
}

type detailed struct {
	*problem
	detail string
}

func (d *detailed) Error() string { return d.name + ": " + d.detail }
func (d *detailed) Unwrap() error { return d.problem }

var (
	badCallID           = &problem{"bad-call-id", 400, "A call id is 1 to 64 letters, digits and hyphens.", 0}
	badRequest          = &problem{"bad-request", 400, "A parameter of the request is malformed.", 0}
	unauthenticated     = &problem{"unauthenticated", 401, "It takes a valid credential to play recordings here.", 0}
	forbidden           = &problem{"forbidden", 403, "The caller may not play this call.", 0}
	linkExpired         = &problem{"link-expired", 403, "The link has expired.", 0}
	linkInvalid         = &problem{"link-invalid", 403, "The link was not signed by this server as it is.", 0}
	callNotFound        = &problem{"call-not-found", 404, "The recorder does not know this call.", 0}
	noRecording         = &problem{"no-recording", 404, "Nothing was recorded of this call.", 0}
	fileNotFound        = &problem{"file-not-found", 404, "The call has no such file.", 0}
	recordingMissing    = &problem{"recording-missing", 404, "The recording is not on the storage.", 0}
	recordingInProgress = &problem{"recording-in-progress", 409, "The call is still going on, and nothing of it can be played yet.", 10}
	notJoinable         = &problem{"not-joinable", 409, "The files of this call cannot be played as one.", 0}
	encrypted           = &problem{"encrypted", 422, "The recording is encrypted on the storage.", 0}
	unrecognized        = &problem{"unrecognized", 422, "The recording cannot be proved to be audio or video, so it is not served.", 0}
	notFound            = &problem{"not-found", 404, "There is nothing at this path.", 0}
	methodNotAllowed    = &problem{"method-not-allowed", 405, "This method does not work here; Allow says which does.", 0}
	tooManyFailures     = &problem{"too-many-failures", 429, "Too many invalid credentials came from this address.", 10}
	tooManyStreamsOfOne = &problem{"too-many-streams", 429, "Too many recordings are being sent to this address.", 5}
	internal            = &problem{"internal", 500, "Something went wrong in this server.", 0}
	badMetadata         = &problem{"bad-metadata", 502, "The recorder's answer about this call makes no sense.", 0}
	unmappedPath        = &problem{"unmapped-path", 502, "The recorder names a place for this recording that is not served.", 0}
	metadataDenied      = &problem{"metadata-denied", 502, "The recorder does not let this server look up calls.", 0}
	storageDenied       = &problem{"storage-denied", 502, "The storage does not let this server read the recording.", 0}
	tooManyStreams      = &problem{"too-many-streams", 503, "Too many recordings are being sent.", 5}
	accessUnavailable   = &problem{"access-unavailable", 503, "It cannot be decided now who may play this call.", 5}
	metadataUnavailable = &problem{"metadata-unavailable", 503, "The recorder cannot be asked about calls now.", 5}
	storageUnavailable  = &problem{"storage-unavailable", 503, "The storage of this recording cannot be reached now.", 5}
	auditUnavailable    = &problem{"audit-unavailable", 503, "It cannot be written down now who plays this recording.", 5}
	spoolFull           = &problem{"spool-full", 503, "There is no room now for a copy of the recording, which the recorder sends only whole.", 10}
	metadataTimeout     = &problem{"metadata-timeout", 504, "The recorder did not answer in time.", 0}
	storageTimeout      = &problem{"storage-timeout", 504, "The storage of this recording did not answer in time.", 0}
)

// problems says which problem an error is; the first match wins.
var problems = []struct {
	err     error
	problem *problem
}{
	{access.ErrForbidden, forbidden},
	{access.ErrLinkExpired, linkExpired},
	{access.ErrLinkInvalid, linkInvalid},
	{access.ErrTooManyFailures, tooManyFailures},
	{access.ErrUnavailable, accessUnavailable},
	{audit.ErrUnavailable, auditUnavailable},
	{metadata.ErrNotFound, callNotFound},
	{metadata.ErrDenied, metadataDenied},
	{metadata.ErrMalformed, badMetadata},
	{metadata.ErrTimeout, metadataTimeout},
	{metadata.ErrUnavailable, metadataUnavailable},
	{spool.ErrFull, spoolFull},
	{media.ErrEmpty, noRecording},
	{media.ErrEncrypted, encrypted},
	{media.ErrUnrecognized, unrecognized},
	{storage.ErrUnmapped, unmappedPath},
	{storage.ErrUnavailable, storageUnavailable},
	{fs.ErrInvalid, unmappedPath},
	{fs.ErrPermission, storageDenied},
	{fs.ErrNotExist, recordingMissing},
	{context.DeadlineExceeded, storageTimeout},
}

// details say to a client what can be done about a problem.
var details = map[*problem]string{
	encrypted:    "The recorder can decrypt it: its signed link, or its API's file download, plays it.",
	unrecognized: "If the recorder encrypts its files, its signed link, or its API's file download, plays it.",
}

// problemOf returns the problem that err is, and its detail.
func problemOf(err error) (*problem, string) {
	if d := (*detailed)(nil); errors.As(err, &d) {
		return d.problem, d.detail
	}
	if p := (*problem)(nil); errors.As(err, &p) {
		return p, details[p]
	}
	if errors.As(err, new(*access.Unauthenticated)) {
		return unauthenticated, ""
	}
	for _, known := range problems {
		if errors.Is(err, known.err) {
			return known.problem, details[known.problem]
		}
	}
	return internal, ""
}

// challenge says which credentials would do, if err is that there was none.
func challenge(h http.Header, err error) {
	if challenges := access.Challenges(err); len(challenges) > 0 {
		h["Www-Authenticate"] = challenges
	}
}

// inProgress turns errors that are no wonder while a call goes on into the
// problem that says so: nothing is written yet, or not enough to prove.
func inProgress(call *metadata.Call, err error) error {
	if !call.InProgress() {
		return err
	}
	switch p, _ := problemOf(err); p {
	case noRecording, recordingMissing, unrecognized:
		return fmt.Errorf("%w: %w", recordingInProgress, err)
	}
	return err
}

// writeProblem answers a request with a problem document. No text of err's is
// in it: that is for the log.
func writeProblem(w http.ResponseWriter, requestID string, p *problem, detail string) {
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		RequestID string `json:"request_id"`
	}{"urn:storagesrv:problem:" + p.name, p.title, p.status, detail, requestID})
	if err != nil {
		panic(err) // strings and an int marshal
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(p.status)
	w.Write(body) // an error here is the client's
}
