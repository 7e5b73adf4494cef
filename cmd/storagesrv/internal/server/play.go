package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"storagesrv/cmd/storagesrv/internal/access"
	"storagesrv/metadata"
	"storagesrv/storage"
)

// play answers with a recording, if it may be had.
func (s *Server) play(admit admission) handler {
	return func(w *response, r *http.Request) error {
		asked, err := admit(r)
		if err != nil {
			return err
		}
		rec, err := s.open(storage.WithHint(r.Context(), firstRange(r)), asked.callID, asked.fileID)
		if err != nil {
			if rec, err = s.instead(w, r, err); rec == nil {
				return err // nil if the client was sent to the recorder
			}
		}
		defer rec.Close()
		free, err := s.takeSlot(r)
		if err != nil {
			return err
		}
		defer free()
		rec.describe(w.Header(), asked.options, s.config.CacheControl)
		if asked.cookie != nil && r.Method == http.MethodGet {
			http.SetCookie(w, asked.cookie)
		}
		return s.send(w, withPlainRange(r, rec.size), rec)
	}
}

// takeSlot takes a slot for the body of an answer.
func (s *Server) takeSlot(r *http.Request) (free func(), err error) {
	rec := recordOf(r.Context())
	switch {
	case r.Method == http.MethodHead:
		return func() {}, nil
	case rec.caller.Via == access.ByToken: // a server, which many may listen to
		return s.slots.take("")
	}
	return s.slots.take(access.Network(rec.client))
}

// open resolves, opens and proves one file of a call. Recorders move files
// after a call, so one that is not where it was the last time we asked is
// looked up once more.
func (s *Server) open(ctx context.Context, id, fileID string) (*recording, error) {
	call, err := s.lookUp(ctx, id)
	if err != nil {
		return nil, err
	}
	rec, err := s.openFile(ctx, call, fileID)
	if !isMissing(err, call) {
		return rec, err
	}
	if call, err = s.refresh(ctx, call); err != nil {
		return nil, err
	}
	return s.openFile(ctx, call, fileID)
}

// isMissing reports whether err is that a file is not where call says, and
// call is old enough to ask again. Requests in a row for a recording that
// stays missing ask once in refreshAge.
func isMissing(err error, call *metadata.Call) bool {
	return errors.Is(err, fs.ErrNotExist) && time.Since(call.Fetched) > refreshAge
}

const refreshAge = time.Second

// newFor is how long a mount may go on saying that a recording is not there.
const newFor = time.Minute

func (s *Server) lookUp(ctx context.Context, id string) (*metadata.Call, error) {
	return s.timed(ctx, func() (*metadata.Call, error) { return s.config.Calls.Call(ctx, id) })
}

func (s *Server) refresh(ctx context.Context, seen *metadata.Call) (*metadata.Call, error) {
	return s.timed(ctx, func() (*metadata.Call, error) { return s.config.Calls.Refresh(ctx, seen) })
}

func (s *Server) timed(ctx context.Context, ask func() (*metadata.Call, error)) (*metadata.Call, error) {
	start := time.Now()
	call, err := ask()
	s.metrics.resolve.Observe(time.Since(start).Seconds())
	if err == nil {
		recordOf(ctx).stale = call.Stale
	}
	return call, err
}

func (s *Server) openFile(ctx context.Context, call *metadata.Call, fileID string) (*recording, error) {
	file, err := pick(call, fileID)
	if err != nil {
		return nil, err
	}
	recordOf(ctx).fileID = file.ID
	if call.InProgress() || time.Since(file.Stop) < newFor {
		ctx = storage.WithFresh(ctx)
	}
	rec, err := s.openProved(ctx, call, file)
	if err != nil {
		if rec != nil {
			rec.Close()
		}
		return nil, &unplayable{call, file, inProgress(call, err)}
	}
	return rec, nil
}

// pick returns the file of a call that is asked for.
func pick(call *metadata.Call, fileID string) (*metadata.File, error) {
	n := len(call.Files)
	if fileID != "" {
		if i := slices.IndexFunc(call.Files, func(f metadata.File) bool { return f.ID == fileID }); i >= 0 {
			return &call.Files[i], nil
		}
	}
	switch {
	case fileID != "" && n > 0:
		return nil, fileNotFound.because("the files of this call are %s", listed(call.Files))
	case n > 1:
		return nil, notJoinable.because("this call has several files; choose one with ?file_id= from %s", listed(call.Files))
	case n == 1:
		return &call.Files[0], nil
	case call.InProgress():
		return nil, recordingInProgress
	}
	return nil, noRecording
}

// listed lists the ids of files for a detail, which a call of many does not make long.
func listed(files []metadata.File) string {
	const most = 50
	ids := make([]string, min(len(files), most))
	for i := range ids {
		ids[i] = files[i].ID
	}
	list := strings.Join(ids, ", ")
	if more := len(files) - most; more > 0 {
		list += fmt.Sprintf(", and %d more", more)
	}
	return list
}
