// Package demo is everything around a server that a recorder's site has:
// calls, the recorder's API that knows them, a mounted directory and an SFTP
// server with their recordings, and a configuration that names all of it.
//
//	d, err := demo.Start("127.0.0.1:8080", "127.0.0.1:8081")
//	defer d.Close()
//	c, err := config.Load(d.Config)
//	// make a server of c, and listen on these addresses
//	http.Serve(listener, d.Handler(server))
//
// It is all on loopback and in a temporary directory. [Calls] says what the
// server must answer.
package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
	"storagesrv/storage/sftp/sftptest"
)

// A Demo runs until Close.
type Demo struct {
	Dir    string // where everything is
	Config string // the configuration file
	URL    string // of the server to be, without a slash at its end
	Admin  string // its private one
	Token  string // of the web app called demo

	calls   []knownCall
	page    []byte
	closers []func() error // in the order they were made
}

// A knownCall is a Call and what the recorder says of it.
type knownCall struct {
	Call
	Metadata metadata.Call
}

const user = "playback" // at the recorder and on the SFTP server

// Start starts a demo of a server whose two listeners have these addresses.
func Start(public, admin string) (_ *Demo, err error) {
	d := &Demo{URL: "http://" + public, Admin: "http://" + admin}
	if d.Dir, err = os.MkdirTemp("", "storagesrv-demo-"); err != nil {
		return nil, err
	}
	d.closers = append(d.closers, func() error { return os.RemoveAll(d.Dir) })
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := d.record(time.Now()); err != nil {
		return nil, err
	}
	if d.page, err = render(d.calls); err != nil {
		return nil, err
	}
	d.Token = rand.Text()
	settings := settings{Public: public, Admin: admin, URL: d.URL, Mount: d.mount(), Spool: d.Dir, User: user,
		TokenHash: fmt.Sprintf("%x", sha256.Sum256([]byte(d.Token))), SigningKey: rand.Text() + rand.Text()}
	if err := d.startRecorder(&settings); err != nil {
		return nil, err
	}
	if err := d.startSFTP(&settings); err != nil {
		return nil, err
	}
	d.Config = filepath.Join(d.Dir, "storagesrv.yaml")
	return d, settings.write(d.Config)
}

// Close ends the demo and removes its directory.
func (d *Demo) Close() error {
	var errs []error
	for _, closer := range slices.Backward(d.closers) {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}

func (d *Demo) mount() string   { return filepath.Join(d.Dir, "mount") }
func (d *Demo) archive() string { return filepath.Join(d.Dir, "archive") }

// record makes calls of the last days, and their recordings.
func (d *Demo) record(now time.Time) error {
	start := now.Truncate(time.Minute)
	for i, c := range Calls {
		start = start.Add(-97 * time.Minute)
		length := 7 * time.Second
		if c.Minutes() != nil {
			length = time.Hour
		}
		call := metadata.Call{
			ID:    c.ID,
			From:  fmt.Sprintf("+1 202 555 01%02d", 13+7*i%80),
			To:    fmt.Sprint(101 + i%5),
			Start: start,
			Stop:  start.Add(length),
			State: c.State,
		}
		if c.State != 0 { // not over
			call.Start, call.Stop = now.Add(-time.Minute), time.Time{}
		}
		for _, f := range c.Files {
			size, err := d.write(f, call.Stop)
			if err != nil {
				return err
			}
			call.Files = append(call.Files, metadata.File{
				ID: f.ID, Path: f.Path, Encrypted: f.Encrypted, Start: call.Start, Stop: call.Stop, Size: size,
			})
		}
		d.calls = append(d.calls, knownCall{c, call})
	}
	return nil
}

// write makes the file that f is about, if it is to be there, as old as its call.
func (d *Demo) write(f File, stop time.Time) (size int64, err error) {
	if f.Content == nil {
		return 0, nil
	}
	name := filepath.Join(d.mount(), strings.TrimPrefix(f.Path, onMount))
	if below, ok := strings.CutPrefix(f.Path, onSFTP); ok {
		name = filepath.Join(d.archive(), below)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return 0, err
	}
	data := f.Content()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return 0, err
	}
	if !stop.IsZero() {
		err = os.Chtimes(name, stop, stop)
	}
	return int64(len(data)), err
}

// startRecorder starts the API that knows the calls.
func (d *Demo) startRecorder(s *settings) error {
	s.RecorderPassword = rand.Text()
	recorder := metadatatest.New(user, s.RecorderPassword)
	for _, c := range d.calls {
		if c.Files != nil {
			recorder.Set(c.Metadata)
		}
		if c.Encrypted() {
			f := c.Files[0]
			recorder.SetContent(c.ID, f.ID, metadatatest.Content{Data: f.Recording(), ETag: `"1"`, Modified: c.Metadata.Stop})
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.RecorderURL = "http://" + listener.Addr().String()
	api := &http.Server{Handler: recorder, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { api.Serve(listener) }) // ends when Close closes api
	d.closers = append(d.closers, func() error {
		err := api.Close()
		serving.Wait()
		return err
	})
	return nil
}

// startSFTP starts the server of the archive.
func (d *Demo) startSFTP(s *settings) error {
	server, err := sftptest.Start(sftptest.Config{Dir: d.archive(), User: user})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, server.Close)
	s.SFTP, s.SFTPKey, s.HostKey = server.Addr(), server.ClientKey(), server.Fingerprint()
	return nil
}
