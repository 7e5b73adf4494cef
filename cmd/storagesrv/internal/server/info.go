package server

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"storagesrv/metadata"
)

// callInfo is what a player may know of a call. It never holds a file_path.
type callInfo struct {
	CallID     string     `json:"call_id"`
	From       string     `json:"from"`
	To         string     `json:"to"`
	Start      *time.Time `json:"start"`
	Stop       *time.Time `json:"stop"`
	State      int        `json:"state"`
	InProgress bool       `json:"in_progress"`
	verdict
	Files []fileInfo `json:"files"`
}

// fileInfo is what a player may know of one file of a call.
type fileInfo struct {
	FileID     string     `json:"file_id"`
	Start      *time.Time `json:"start"`
	Stop       *time.Time `json:"stop"`
	Size       int64      `json:"size"`
	Container  string     `json:"container,omitempty"`
	Codec      string     `json:"codec,omitempty"`
	SampleRate int        `json:"sample_rate,omitempty"`
	Channels   int        `json:"channels,omitempty"`
	BitRate    int        `json:"bit_rate,omitempty"`
	verdict
}

// verdict says whether a browser can play something, and why it may not: the
// name of a problem if it is not served at all, else a sentence.
type verdict struct {
	Type     string `json:"type,omitempty"`
	Playable bool   `json:"playable"`
	Reason   string `json:"reason,omitempty"`

	// Fallback is how the recorder is asked to play what is not served from the
	// storage. Whether it does shows when it is played.
	Fallback Way `json:"fallback,omitempty"`
}

const (
	infoAtOnce  = 4                // files of one call that are looked at at a time
	infosAtOnce = 16               // files of all calls
	infoTimeout = 20 * time.Second // for all files of a call
)

// info answers with what is known about a call and its files, or about the one
// file that may be had.
func (s *Server) info(admit admission) handler {
	return func(w *response, r *http.Request) error {
		asked, err := admit(r)
		if err != nil {
			return err
		}
		call, files, err := s.look(r.Context(), asked)
		if err != nil {
			return err
		}
		info := callInfo{
			CallID: asked.callID, From: bounded(call.From), To: bounded(call.To), State: call.State, InProgress: call.InProgress(),
			Start: optional(call.Start), Stop: optional(call.Stop), Files: files,
		}
		info.verdict = info.whole(call)
		body, err := json.Marshal(info)
		if err != nil {
			return err
		}
		writeJSON(w, body)
		return nil
	}
}

// look looks up a call, and at its files. Missing ones may have moved.
func (s *Server) look(ctx context.Context, asked asked) (call *metadata.Call, files []fileInfo, err error) {
	call, err = s.lookUp(ctx, asked.callID)
	if err != nil {
		return nil, nil, err
	}
	if call, err = only(call, asked.fileID); err != nil {
		return nil, nil, err
	}
	files, err = s.infoFiles(ctx, call)
	if isMissing(err, call) {
		if call, err = s.refresh(ctx, call); err != nil {
			return nil, nil, err
		}
		if call, err = only(call, asked.fileID); err != nil {
			return nil, nil, err
		}
		files, _ = s.infoFiles(ctx, call)
	}
	return call, files, ctx.Err()
}

// only returns a call as if it had no other files than one; "" stands for all.
func only(call *metadata.Call, fileID string) (*metadata.Call, error) {
	if fileID == "" {
		return call, nil
	}
	file, err := pick(call, fileID)
	if err != nil {
		return nil, err
	}
	one := *call
	one.Files = []metadata.File{*file}
	return &one, nil
}

// infoFiles looks at the files of a call. The error is an fs.ErrNotExist if
// one of them is missing.
func (s *Server) infoFiles(ctx context.Context, call *metadata.Call) ([]fileInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	infos, errs := make([]fileInfo, len(call.Files)), make([]error, len(call.Files))
	var group errgroup.Group
	group.SetLimit(infoAtOnce)
	for i := range call.Files {
		group.Go(func() error {
			infos[i], errs[i] = s.infoFileInTurn(ctx, call, &call.Files[i])
			return nil
		})
	}
	group.Wait()
	for _, err := range errs {
		if errors.Is(err, fs.ErrNotExist) {
			return infos, err
		}
	}
	return infos, nil
}

// infoFileInTurn looks at a file when it is its turn: calls of thousands of
// files must not keep listeners from theirs.
func (s *Server) infoFileInTurn(ctx context.Context, call *metadata.Call, file *metadata.File) (info fileInfo, err error) {
	defer func() {
		if p := recover(); p != nil { // on a goroutine where nobody else would
			err = panicked(p)
			info = fileInfo{FileID: file.ID, verdict: verdict{Reason: internal.name}}
		}
	}()
	select {
	case s.infos <- struct{}{}:
		defer func() { <-s.infos }()
	case <-ctx.Done():
	}
	// A record of its own: these run at once.
	return s.infoFile(context.WithValue(ctx, recordKey{}, &record{requestID: recordOf(ctx).requestID}), call, file)
}

func (s *Server) infoFile(ctx context.Context, call *metadata.Call, file *metadata.File) (fileInfo, error) {
	info := fileInfo{FileID: file.ID, Start: optional(file.Start), Stop: optional(file.Stop)}
	rec, err := s.openProved(ctx, call, file)
	if rec != nil {
		defer rec.Close()
		info.Size = rec.size
	}
	if err != nil {
		p, _ := problemOf(inProgress(call, err))
		info.Reason = p.name
		if way, _ := s.config.Fallback.wayOf(&unplayable{call, file, inProgress(call, err)}); way != Refuse {
			info.Fallback = way
		}
		rec := recordOf(ctx)
		s.log.LogAttrs(ctx, slog.LevelInfo, "a file is not playable", slog.String("request_id", rec.requestID),
			slog.String("call_id", call.ID), slog.String("file_id", file.ID), slog.String("file_path", bounded(file.Path)),
			slog.String("store", rec.store), slog.String("problem", p.name), slog.String("error", boundedTo(4096, err.Error())))
		return info, err
	}
	f := rec.format
	info.Container, info.Codec = f.Container, f.Codec
	info.SampleRate, info.Channels, info.BitRate = f.SampleRate, f.Channels, f.BitRate
	info.verdict = verdict{Type: f.Type, Playable: f.BrowserPlays, Reason: f.Browser}
	return info, nil
}

// whole is the verdict on what /recordings/{id} answers without a file_id.
func (i *callInfo) whole(call *metadata.Call) verdict {
	if _, err := pick(call, ""); err != nil {
		p, _ := problemOf(err)
		return verdict{Reason: p.name}
	}
	return i.Files[0].verdict
}

// optional is nil, JSON's null, for a time that is not known.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
