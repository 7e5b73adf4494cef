package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
)

// A handler answers a request or returns why it did not. It has written
// nothing then, unless the error is a *brokenBody.
type handler func(*response, *http.Request) error

// A record is what the access log says about one request. Handlers fill in
// what they learn; it belongs to the request's goroutine.
type record struct {
	start                    time.Time
	route, requestID, client string
	pathID                   string // the call, as the path has it
	callID, fileID, store    string
	filePath                 string
	stale                    bool
	proxied                  bool // by a proxy that is trusted
	caller                   access.Caller
	fallback                 Way // in which the recorder was asked to play; "" if it was not
}

type recordKey struct{}

// recordOf returns the record of a request's context; for others an unused one.
func recordOf(ctx context.Context) *record {
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		return rec
	}
	return &record{}
}

// statusClientGone is what the log says about a client that left before it was
// answered; nginx's number for it.
const statusClientGone = 499

// bodyTimeout is how long a client may take, at most, to send a body that
// nobody reads. net/http waits for it before it sends a header.
const bodyTimeout = 5 * time.Second

// An endpoint is the one adapter between net/http and handlers.
type endpoint struct {
	server  *Server
	route   string
	answer  handler
	methods []string // that work
}

// handle returns the endpoint of a route. Methods are those that work; none
// stands for GET and HEAD.
func (s *Server) handle(route string, h handler, methods ...string) *endpoint {
	if methods == nil {
		methods = []string{http.MethodGet, http.MethodHead}
	}
	return &endpoint{s, route, h, methods}
}

// ServeHTTP implements [http.Handler] for paths that name no call.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.serve(w, r, "") }

func (e *endpoint) serve(rw http.ResponseWriter, r *http.Request, pathID string) {
	s := e.server
	s.watch.enter()
	defer s.watch.leave()
	start := time.Now()
	client, trusted := s.client(r)
	rec := &record{start: start, route: e.route, requestID: requestID(r, trusted), client: client, pathID: pathID, proxied: trusted}
	rw.Header().Set("X-Request-Id", rec.requestID)
	if r.ContentLength != 0 {
		http.NewResponseController(rw).SetReadDeadline(start.Add(min(bodyTimeout, s.config.StallTimeout/2)))
	}
	w := &response{ResponseWriter: rw, stall: s.config.StallTimeout}
	err := e.run(w, r.WithContext(context.WithValue(r.Context(), recordKey{}, rec)))
	s.finish(w, r, rec, err)
}

// run answers and turns a panic into an error.
func (e *endpoint) run(w *response, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	if !slices.Contains(e.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(e.methods, ", "))
		return methodNotAllowed
	}
	return e.answer(w, r)
}

func panicked(p any) error { return fmt.Errorf("%w: panic: %v\n%s", internal, p, debug.Stack()) }

// finish answers a request that was refused, and logs and counts any. A
// response that has begun and cannot be completed ends with its connection, so
// that no client takes it for complete.
func (s *Server) finish(w *response, r *http.Request, rec *record, err error) {
	refused := ""
	broken := err != nil && w.status != 0
	switch {
	case err == nil || broken:
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		broken, w.status = true, statusClientGone
	default:
		p, detail := problemOf(err)
		refused = p.name
		withdraw(w.Header())
		challenge(w.Header(), err)
		s.metrics.refusals.WithLabelValues(p.name).Inc()
		s.auditRefusal(rec, p)
		writeProblem(w, rec.requestID, p, detail)
	}
	s.metrics.requests.WithLabelValues(rec.route, strconv.Itoa(w.status)).Inc()
	s.logRequest(w, r, rec, refused, err)
	if broken {
		panic(http.ErrAbortHandler)
	}
}

// withdraw removes what was said of a recording of which nothing is sent.
func withdraw(h http.Header) {
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "Etag", "Last-Modified", "Set-Cookie"} {
		h.Del(name)
	}
}

// mostAttrs is how many attributes a request has in the log, at most.
const mostAttrs = 20

func (s *Server) logRequest(w *response, r *http.Request, rec *record, refused string, err error) {
	attrs := append(make([]slog.Attr, 0, mostAttrs),
		slog.String("request_id", rec.requestID),
		slog.String("client", rec.client),
		slog.String("method", bounded(r.Method)),
		slog.String("path", bounded(pathOf(r))),
		slog.String("route", rec.route),
		slog.Int("status", w.status),
		slog.Int64("bytes", w.written),
		slog.Float64("duration_ms", float64(time.Since(rec.start).Microseconds())/1000),
	)
	for _, optional := range []struct{ key, value string }{
		{"call_id", rec.callID}, {"file_id", rec.fileID}, {"store", rec.store}, {"file_path", bounded(rec.filePath)},
		{"range", bounded(r.Header.Get("Range"))}, {"problem", refused}, {"fallback", string(rec.fallback)},
		{"who", rec.caller.Name}, {"via", string(rec.caller.Via)},
	} {
		if optional.value != "" {
			attrs = append(attrs, slog.String(optional.key, optional.value))
		}
	}
	if rec.stale {
		attrs = append(attrs, slog.Bool("stale", true))
	}
	level := slog.LevelInfo
	if err != nil {
		attrs = append(attrs, slog.String("error", boundedTo(4096, err.Error()))) // a stack fits
	}
	if broken := (*brokenBody)(nil); w.status >= 500 || errors.Is(err, internal) || errors.As(err, &broken) && broken.ours {
		level = slog.LevelWarn
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	line := slog.NewRecord(time.Now(), level, "request", 0) // LogAttrs would look for who calls it
	line.AddAttrs(attrs...)
	s.log.Handler().Handle(r.Context(), line) // there is nobody to tell of an error
}

// pathOf is the path of a request for the log. What comes after an encoded
// question mark was meant to be a query, where the signature of a link is; and so
// is whatever else a mangled link has behind its path.
func pathOf(r *http.Request) string {
	path := r.URL.EscapedPath()
	if i := strings.Index(strings.ToLower(path), "%3f"); i >= 0 {
		path = path[:i]
	}
	const signed = "/signed"
	if before, after, found := strings.Cut(path, signed); found && after != "" && after != "/info" {
		path = before + signed + "…"
	}
	return path
}

// bounded keeps what others sent from filling the log, or an answer.
func bounded(s string) string { return boundedTo(256, s) }

func boundedTo(most int, s string) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
