package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"storagesrv/metadata"
	"storagesrv/storage"
	"storagesrv/storage/media"
)

// A recording is a file of a call that is open; prove says whether it is media.
type recording struct {
	storage.File
	call    *metadata.Call
	file    *metadata.File
	place   storage.Place
	opened  fs.FileInfo // as it was opened
	size    int64
	modTime time.Time           // in whole seconds, which every store keeps
	lease   *lease              // governs File; nil if something else does
	fetched *metadata.Validator // of what the recorder itself plays; nil if it comes from a store

	// prove sets these.
	settled bool // nobody writes to it any more, as far as we can tell
	format  media.Format
}

// settleTime is how long a file must have been the same before it counts as
// complete; modification times come in whole seconds.
const settleTime = 2 * time.Second

// openRecording opens a file of a call.
func (s *Server) openRecording(ctx context.Context, call *metadata.Call, file *metadata.File) (*recording, error) {
	if file.Encrypted {
		return nil, &media.EncryptedError{Scheme: "says the recorder"}
	}
	if file.Path == "" {
		return nil, fmt.Errorf("%w: a file without file_path", metadata.ErrMalformed)
	}
	opened, place, err := s.config.Recordings.Open(ctx, file.Path)
	recordOf(ctx).store, recordOf(ctx).filePath = place.Store, file.Path
	if err != nil {
		return nil, err
	}
	return newRecording(call, file, opened, place)
}

// newRecording closes opened if there is an error.
func newRecording(call *metadata.Call, file *metadata.File, opened storage.File, place storage.Place) (*recording, error) {
	info, err := opened.Stat()
	if err != nil {
		opened.Close()
		return nil, unreadable(err)
	}
	return &recording{File: opened, call: call, file: file, place: place,
		opened: info, size: info.Size(), modTime: info.ModTime().Truncate(time.Second)}, nil
}

// proveTimeout bounds opening, proving and the first bytes together. Stores have
// shorter bounds for each answer; a proof may need many.
const proveTimeout = 30 * time.Second

// openProved opens and proves a file of a call. The recording is governed by
// ctx, and by the time limit until its first bytes have arrived. One that is
// open and not proved comes with the error, for its size; it is to be closed
// and not to be sent.
func (s *Server) openProved(ctx context.Context, call *metadata.Call, file *metadata.File) (*recording, error) {
	lease := newLease(ctx, proveTimeout, context.DeadlineExceeded)
	rec, err := s.openRecording(lease, call, file)
	if err != nil {
		err = cmp.Or(lease.late(), err)
		lease.giveBack()
		return nil, err
	}
	err = s.prove(rec)
	if errors.Is(err, storage.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		if other := s.insteadOf(lease, rec); other != nil {
			rec.Close()
			rec, err = other, nil
		}
	}
	rec.lease = lease
	if err != nil {
		return rec, cmp.Or(lease.late(), err)
	}
	return rec, nil
}

// insteadOf opens and proves what rec cannot be read of in another store, or
// returns nil.
func (s *Server) insteadOf(ctx context.Context, rec *recording) *recording {
	other, err := s.provedElsewhere(ctx, rec, []storage.Place{rec.place}, func(*recording) bool { return true })
	if err != nil {
		return nil
	}
	recordOf(ctx).store = other.place.Store
	return other
}

// Close closes the file.
func (rec *recording) Close() error {
	if rec.lease != nil {
		defer rec.lease.giveBack()
	}
	return rec.File.Close()
}

// arrived is called when the first bytes are there that were asked for.
func (rec *recording) arrived() {
	if rec.lease != nil {
		rec.lease.lift()
	}
}

// late is the error of a recording that took too long until then, else nil.
func (rec *recording) late() error {
	if rec.lease == nil {
		return nil
	}
	return rec.lease.late()
}

// prove decides whether rec is settled and what it is. What is not settled is
// looked at each time.
func (s *Server) prove(rec *recording) (err error) {
	key := media.Key{Store: rec.place.Store, Path: rec.place.Name, Size: rec.size, ModTime: rec.modTime}
	now := time.Now()
	rec.settled = !rec.call.InProgress() &&
		(now.Sub(rec.modTime) >= settleTime || now.Sub(s.verdicts.FirstSeen(key, now)) >= settleTime)
	if rec.settled {
		rec.format, err = s.verdicts.Identify(key, rec)
	} else {
		rec.format, err = media.Identify(rec, rec.size)
	}
	ext := strings.ToLower(path.Ext(rec.place.Name))
	if errors.Is(err, media.ErrUnrecognized) && s.isHeaderless(ext) {
		rec.format, err = headerless(ext), nil
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

func (s *Server) isHeaderless(ext string) bool {
	return slices.ContainsFunc(s.config.Headerless, func(e string) bool { return strings.EqualFold(e, ext) })
}

// headerless is the format of raw audio, which only its name tells.
func headerless(ext string) media.Format {
	format := media.Format{Type: "application/octet-stream", Ext: strings.TrimPrefix(ext, "."), Container: "raw",
		Browser: "browsers do not play audio without a header"}
	switch ext {
	case ".ulaw", ".mulaw", ".ul", ".pcmu":
		format.Type, format.Codec = "audio/basic", "pcm_mulaw"
	case ".alaw", ".al", ".pcma":
		format.Type, format.Codec = "audio/x-alaw-basic", "pcm_alaw"
	case ".gsm":
		format.Type, format.Codec = "audio/x-gsm", "gsm"
	}
	return format
}

// unreadable marks an error of reading an open file, unless it is a verdict on
// what was read or says already what is wrong with the store.
func unreadable(err error) error {
	for _, known := range []error{media.ErrEmpty, media.ErrEncrypted, media.ErrUnrecognized,
		storage.ErrUnavailable, context.DeadlineExceeded, context.Canceled, internal} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
}

// describe sets the header fields that http.ServeContent leaves to us.
func (rec *recording) describe(h http.Header, o options, cacheControl string) {
	if !rec.settled {
		cacheControl = "no-store"
	}
	values := [...]string{rec.format.Type, "nosniff", rec.disposition(o), cacheControl, rec.etag()}
	h["Content-Type"] = values[0:1:1]
	h["X-Content-Type-Options"] = values[1:2:2]
	h["Content-Disposition"] = values[2:3:3]
	h["Cache-Control"] = values[3:4:4]
	if values[4] != "" {
		h["Etag"] = values[4:5:5]
	}
}

// disposition needs no escaping: ids and extensions are letters, digits, - and _.
func (rec *recording) disposition(o options) string {
	name := rec.call.ID
	if o.fileID != "" {
		name += "-" + o.fileID
	}
	kind := "inline"
	if o.download {
		kind = "attachment"
	}
	return kind + `; filename="` + name + "." + rec.format.Ext + `"`
}

// etag depends on nothing but the recording, so that a download goes on at
// another replica, or from another store with the same file. It is weak while
// the file may still change within the second that its time is kept in. What the
// recorder plays itself has the recorder's, or none: "".
func (rec *recording) etag() string {
	if rec.fetched != nil {
		return rec.fetched.ETag
	}
	named := make([]byte, 0, 64+2*20)
	named = append(append(named, rec.file.ID...), ' ')
	named = append(strconv.AppendInt(named, rec.size, 10), ' ')
	named = strconv.AppendInt(named, rec.modTime.Unix(), 10)
	sum := sha256.Sum256(named)
	var tag [20]byte
	base64.RawURLEncoding.Encode(tag[:], sum[:15])
	if !rec.settled {
		return `W/"` + string(tag[:]) + `"`
	}
	return `"` + string(tag[:]) + `"`
}

// lastModified is the time for http.ServeContent: none while not settled.
func (rec *recording) lastModified() time.Time {
	if !rec.settled {
		return time.Time{}
	}
	return rec.modTime
}
