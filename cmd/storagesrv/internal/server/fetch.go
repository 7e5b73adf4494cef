package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/metadata"
	"storagesrv/storage"
	"storagesrv/storage/media"
)

const (
	// headSize is how much is asked for at first. It is what a proof begins with,
	// and tells size, version and whether the recorder answers ranges.
	headSize = 32 << 10

	// fetchTimeout bounds all that comes before the header, where that may be the
	// whole recording: its length may not be known before, nor what it is.
	fetchTimeout = 5 * time.Minute
)

// fetch opens and proves a recording at the recorder.
func (s *Server) fetch(r *http.Request, u *unplayable) (*recording, error) {
	lease := newLease(r.Context(), fetchTimeout, metadata.ErrTimeout)
	rec, err := s.fetchProved(lease, r, u)
	if err != nil {
		if late := lease.late(); late != nil {
			err = fmt.Errorf("fetch call %s: %w", u.call.ID, late)
		}
		lease.giveBack()
		return nil, err
	}
	rec.lease = lease
	return rec, nil
}

// fetchProved reads ranges from the recorder, or else from a copy of the whole.
func (s *Server) fetchProved(ctx context.Context, r *http.Request, u *unplayable) (*recording, error) {
	key := u.call.ID + " " + u.file.ID
	if u.call.InProgress() {
		key += " " + rand.Text() // for this request alone: the next one finds more
	}
	if file := s.config.Fallback.Spool.Open(ctx, key); file != nil {
		return s.fromSpool(u, file)
	}
	d, err := s.download(ctx, u, &metadata.Part{First: 0, Last: headSize - 1})
	if err == nil && d.IsPart {
		var rec *recording
		if rec, err = s.inParts(ctx, r, u, d); err == nil {
			return rec, nil
		}
	}
	if errors.Is(err, metadata.ErrWrongRange) || errors.Is(err, metadata.ErrChanged) {
		d, err = s.download(ctx, u, nil)
	}
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodHead {
		if rec, err := s.byItsHead(u, d); rec != nil || err != nil {
			d.Body.Close()
			return rec, err
		}
	}
	return s.fromSpool(u, s.config.Fallback.Spool.Fill(ctx, key, spool.Source{
		Body: d.Body, Size: d.Size, ETag: d.Validator.ETag, Modified: d.Validator.Modified,
	}))
}

// download asks the recorder. The body lives until it is closed, and not only as
// long as this request: others may share what is made of it.
func (s *Server) download(ctx context.Context, u *unplayable, part *metadata.Part) (*metadata.Download, error) {
	lifetime, end := context.WithCancel(context.WithoutCancel(ctx))
	stays := context.AfterFunc(ctx, end)
	d, err := s.config.Fallback.Recorder.OpenFile(lifetime, u.call.ID, u.file.ID, part)
	switch left := !stays(); {
	case left:
		if err == nil {
			d.Body.Close()
		}
		return nil, ctx.Err()
	case err != nil:
		end()
		return nil, err
	}
	s.fallbacks.counting(d)
	d.Body = endedBody{d.Body, end}
	return d, nil
}

// An endedBody ends its context when it is closed.
type endedBody struct {
	io.ReadCloser
	end context.CancelFunc
}

func (b endedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// inParts makes a recording of one whose beginning is d. It closes d.
func (s *Server) inParts(ctx context.Context, r *http.Request, u *unplayable, d *metadata.Download) (*recording, error) {
	head, err := io.ReadAll(d.Body)
	d.Body.Close()
	if err != nil {
		return nil, err
	}
	file := newPartFile(ctx, d, head, func(ctx context.Context, part *metadata.Part) (*metadata.Download, error) {
		d, err := s.config.Fallback.Recorder.OpenFile(ctx, u.call.ID, u.file.ID, part)
		if err == nil {
			s.fallbacks.counting(d)
		}
		return d, err
	})
	rec := fetched(u, file, d.Size, d.Validator)
	if err = s.proveFetched(rec); err == nil {
		err = file.prepare(r)
	}
	if err != nil {
		rec.Close()
		return nil, err
	}
	return rec, nil
}

// fromSpool makes a recording of a copy. It closes the copy if there is an error.
func (s *Server) fromSpool(u *unplayable, file *spool.File) (*recording, error) {
	size, err := file.Size()
	if err != nil {
		file.Close()
		return nil, unfetched(err)
	}
	rec := fetched(u, file, size, metadata.Validator{ETag: file.ETag(), Modified: file.Modified()})
	if err := s.proveFetched(rec); err != nil {
		rec.Close()
		return nil, err
	}
	return rec, nil
}

// byItsHead makes a recording of the beginning of d, for a request that wants no
// more. It returns nil if a proof needs more, and leaves d as it was.
func (s *Server) byItsHead(u *unplayable, d *metadata.Download) (*recording, error) {
	if d.Size < 0 {
		return nil, nil
	}
	head := make([]byte, min(d.Size, headSize))
	if _, err := io.ReadFull(d.Body, head); err != nil {
		return nil, unfetched(err)
	}
	d.Body = endedBody{struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), d.Body), d.Body}, func() {}}
	file := newPartFile(context.Background(), d, head, func(context.Context, *metadata.Part) (*metadata.Download, error) {
		return nil, errOnlyHead
	})
	rec := fetched(u, file, d.Size, d.Validator)
	err := s.proveFetched(rec)
	if err != nil {
		rec.Close()
		rec = nil
	}
	if errors.Is(err, errOnlyHead) {
		err = nil
	}
	return rec, err
}

var errOnlyHead = errors.New("only the beginning was fetched")

// fetched is a recording as the recorder plays it.
func fetched(u *unplayable, file storage.File, size int64, version metadata.Validator) *recording {
	if u.call.InProgress() {
		version = metadata.Validator{} // more will be of the same name
	}
	return &recording{
		File: file, call: u.call, file: u.file,
		place: storage.Place{Store: recorderLabel, Name: u.call.ID + " " + u.file.ID},
		size:  size, modTime: version.Modified,
		settled: !version.IsZero(), fetched: &version,
	}
}

// proveFetched decides what a recording is that came from the recorder, which may
// have sent a page about an error instead. There are no exceptions for names.
func (s *Server) proveFetched(rec *recording) (err error) {
	if rec.settled {
		version := media.Key{Store: recorderLabel, Path: rec.place.Name + " " + rec.fetched.String(), Size: rec.size, ModTime: rec.modTime}
		rec.format, err = s.verdicts.Identify(version, rec)
	} else {
		rec.format, err = media.Identify(rec, rec.size)
	}
	err = inProgress(rec.call, err)
	switch p, _ := problemOf(err); {
	case err == nil:
		return nil
	case p == unrecognized:
		return fmt.Errorf("%w: %w", unrecognized.because("What the recorder itself sends cannot be proved either."), err)
	case p == encrypted:
		return fmt.Errorf("%w: %w", encrypted.because("What the recorder itself sends is encrypted, too: this server's account there may lack the key."), err)
	case p == noRecording || p == recordingInProgress:
		return err
	}
	return unfetched(err)
}

// unfetched marks an error of reading what the recorder sends as its, unless it
// says already whose it is.
func unfetched(err error) error {
	for _, known := range []error{metadata.ErrUnavailable, metadata.ErrTimeout, metadata.ErrMalformed, metadata.ErrDenied, metadata.ErrNotFound,
		spool.ErrFull, errOnlyHead, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", metadata.ErrUnavailable, err)
}
