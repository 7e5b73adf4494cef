package server

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"storagesrv/cmd/storagesrv/internal/audit"
)

// A listening is what the audit is told of one response. The audit may have
// none of it: then nothing is sent.
type listening struct {
	log      *audit.Log
	ctx      context.Context // of the request, which the response is for
	who      audit.Listener
	request  string
	size     int64
	refused  error                          // why nothing may be sent
	playback atomic.Pointer[audit.Playback] // nil until a body begins; of several ranges, another goroutine asks
}

// listen returns what tells the audit of a response with rec.
func (s *Server) listen(r *http.Request, rec *recording) *listening {
	ctx, asked := r.Context(), recordOf(r.Context())
	l := &listening{ctx: ctx, who: asked.listener(), request: asked.requestID, size: rec.size}
	if r.Method == http.MethodGet {
		l.log = s.config.Audit
	}
	return l
}

// listener is who asks for what, as far as it is known.
func (rec *record) listener() audit.Listener {
	return audit.Listener{Who: rec.caller.Name, Via: string(rec.caller.Via), Client: rec.client, CallID: rec.callID, FileID: rec.fileID}
}

// begin is told that a body is about to be sent. The error is why it may not be.
func (l *listening) begin() error {
	playback, err := l.log.Begin(l.ctx, l.who, l.request, l.size)
	l.playback.Store(playback)
	l.refused = err
	return err
}

// took notes which bytes of the recording the client took.
func (l *listening) took(offset, n int64) { l.playback.Load().Took(offset, n) }

// end is told what came of the response. A client that leaves while this server
// ends was most likely cut.
func (l *listening) end(err error, draining bool) {
	how := audit.Sent
	if broken := (*brokenBody)(nil); errors.As(err, &broken) && (broken.ours || draining) {
		how = audit.Cut
	}
	l.playback.Load().End(how)
}

// playing are the routes that lead to recordings.
var playing = map[string]bool{"recording": true, "signed": true, "file": true}

// auditRefusal tells the audit of a recording that was asked for in vain.
func (s *Server) auditRefusal(rec *record, p *problem) {
	if playing[rec.route] && p != methodNotAllowed {
		s.config.Audit.Refuse(rec.listener(), rec.requestID, p.name)
	}
}

// auditRedirect tells the audit of a listener who is about to be sent to the
// recorder, which will not say what becomes of it.
func (s *Server) auditRedirect(r *http.Request) error {
	if r.Method != http.MethodGet {
		return nil
	}
	rec := recordOf(r.Context())
	playback, err := s.config.Audit.Begin(r.Context(), rec.listener(), rec.requestID, 0)
	if err != nil {
		return err
	}
	playback.End(audit.Redirected)
	return nil
}
