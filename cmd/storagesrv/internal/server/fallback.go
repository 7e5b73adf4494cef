package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"storagesrv/cmd/storagesrv/internal/spool"
	"storagesrv/metadata"
)

// A Way is what is done about a recording that cannot be played from the storage.
type Way string

// The ways.
const (
	Refuse   Way = "refuse"   // say so
	Redirect Way = "redirect" // send the listener to the recorder, by a link that it signs
	Proxy    Way = "proxy"    // fetch it from the recorder
)

// A Recorder plays recordings itself. A [metadata.Client] is one.
type Recorder interface {
	SignedURL(ctx context.Context, callID, fileID string, expires time.Duration) (*url.URL, error)
	OpenFile(ctx context.Context, callID, fileID string, part *metadata.Part) (*metadata.Download, error)
}

// Fallback says what is done about recordings that cannot be played from the
// storage. The zero value refuses them.
type Fallback struct {
	Encrypted Way // those that are ciphertext, or may be
	Missing   Way // those that are not there

	Recorder Recorder     // needed to redirect and to proxy
	Hosts    []string     // to redirect: where a link may lead; a host without a port stands for 80 or 443, as the scheme has it
	Spool    *spool.Spool // to proxy what the recorder sends only whole
}

func (f Fallback) uses(way Way) bool { return f.Encrypted == way || f.Missing == way }

// An unplayable is the error of a file of a call that was found, and cannot be
// played from the storage.
type unplayable struct {
	call *metadata.Call
	file *metadata.File
	error
}

func (u *unplayable) Unwrap() error { return u.error }

// wayOf returns what is done about err.
func (f Fallback) wayOf(err error) (Way, *unplayable) {
	way := Refuse
	u, ok := errors.AsType[*unplayable](err)
	if !ok {
		return way, nil
	}
	switch p, _ := problemOf(err); p {
	case encrypted, unrecognized:
		way = f.Encrypted
	case recordingMissing:
		way = f.Missing
	}
	if way == "" {
		way = Refuse
	}
	return way, u
}

// instead asks the recorder for what cannot be played because of err. It returns
// what to send in place of it; or nil, where err stays or the recorder fails, and
// without an error where it has sent the listener to the recorder.
func (s *Server) instead(w *response, r *http.Request, err error) (*recording, error) {
	way, u := s.config.Fallback.wayOf(err)
	if way == Refuse {
		return nil, err
	}
	ctx, because := r.Context(), err
	record := recordOf(ctx)
	record.fallback = way
	var rec *recording
	if way == Redirect {
		err = s.redirect(w, r, u)
	} else {
		record.store = recorderLabel
		rec, err = s.fetch(r, u)
	}
	s.fallbacks.count(way, ctx, err)
	if err != nil {
		return nil, fmt.Errorf("%w (asked because of: %v)", ofFallback(err), because)
	}
	return rec, nil
}

// ofFallback says more about a problem that is not the usual one of its kind.
func ofFallback(err error) error {
	if errors.Is(err, metadata.ErrDenied) {
		return fmt.Errorf("%w: %w", metadataDenied.because("this server's account may not fetch the recording from it"), err)
	}
	return err
}

// linkLife is how long a link is good beyond the duration of its recording. Players
// use it again for each seek.
const linkLife = time.Hour

// redirect sends the listener to the recorder.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, u *unplayable) error {
	ctx := r.Context()
	life := linkLife
	if length := u.file.Stop.Sub(u.file.Start); length > 0 && !u.file.Start.IsZero() {
		life += min(length, 24*time.Hour)
	}
	link, err := s.config.Fallback.Recorder.SignedURL(ctx, u.call.ID, u.file.ID, life)
	if err != nil {
		return err
	}
	if !s.config.Fallback.allows(link) {
		return fmt.Errorf("%w: %q", badMetadata.because("its link leads to a host that playback.redirect_hosts does not name"), bounded(link.Host))
	}
	if err := s.auditRedirect(r); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Location", link.String())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusFound)
	return nil
}

// allows reports whether a link may lead where it does.
func (f Fallback) allows(link *url.URL) bool {
	usual := "80"
	if link.Scheme == "https" {
		usual = "443"
	}
	port := link.Port()
	if port == "" {
		port = usual
	}
	for _, allowed := range f.Hosts {
		name, allowedPort, err := net.SplitHostPort(allowed)
		if err != nil {
			name, allowedPort = strings.Trim(allowed, "[]"), usual
		}
		if sameHost(name, link.Hostname()) && allowedPort == port {
			return true
		}
	}
	return false
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
