package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"storagesrv/metadata"
)

const fileURLsPath = "/api/v2/file_urls.json"

// newRoutes matches paths as they were sent, without cleaning them up by a
// redirect, and loosely: the handlers say what is wrong with an id. What mux
// finds is handed on by hand, because it would copy the request twice for it.
func (s *Server) newRoutes() http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	router.Handle("/recordings/{id}", s.handle("recording", s.play(s.byPolicy(s.config.Access, askedRecording))))
	router.Handle("/recordings/{id}/info", s.handle("info", s.info(s.byPolicy(s.config.Access, askedCall))))
	router.Handle("/calls/file/{id}/signed", s.handle("signed", s.play(s.byLink)))
	router.Handle("/calls/file/{id}/signed/info", s.handle("signed_info", s.info(s.byLink)))
	router.Handle("/api/v2/calls/{id}.json", s.handle("call", s.call))
	router.Handle("/api/v2/calls/{id}.json/file", s.handle("file", s.play(s.byPolicy(s.config.API, askedFile))))
	router.Handle("/api/v2/calls/{id}.json/file_url.json", s.handle("file_url", s.fileURL))
	router.Handle(fileURLsPath, s.handle("file_urls", s.fileURLs, http.MethodPost))
	router.NotFoundHandler = s.handle("other", func(*response, *http.Request) error { return notFound })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var match mux.RouteMatch
		router.Match(r, &match) // what nothing else matches is the NotFoundHandler's
		match.Handler.(*endpoint).serve(w, r, match.Vars["id"])
	})
}

// callID returns the call that a request asks for. withExt allows a file name
// extension behind the id, as a hint for players that look for one.
func callID(r *http.Request, withExt bool) (string, error) {
	id, err := url.PathUnescape(recordOf(r.Context()).pathID)
	if err != nil {
		return "", badCallID
	}
	if base, ext, found := strings.Cut(id, "."); found && withExt && validExt(ext) {
		id = base
	}
	if !metadata.ValidID(id) {
		return "", badCallID
	}
	return id, nil
}

// validExt reports whether ext is 1 to 5 letters and digits.
func validExt(ext string) bool {
	return len(ext) <= 5 && metadata.ValidID(ext) && !strings.Contains(ext, "-")
}

// options are the query parameters of a request for a recording.
type options struct {
	fileID   string // "": not given
	download bool
}

func parseOptions(r *http.Request) (options, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return options{}, badRequest.because("the query string is malformed")
	}
	o := options{fileID: query.Get("file_id"), download: query.Get("download") == "1"}
	if query.Has("file_id") && (len(query["file_id"]) > 1 || !metadata.ValidFileID(o.fileID)) {
		return options{}, badRequest.because("file_id must be given once, as 1 to 64 letters, digits, _ and -")
	}
	return o, nil
}
