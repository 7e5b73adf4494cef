//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A library is the recordings: a directory for each case, with one more file in
// it, warm.wav, to ask for before it is measured.
//
// Most files are links to few others. No cache in front of the server can
// know, and the server's page cache holds all of them.
type library struct {
	root      string // what is served
	originals string // on the same file system
	sets      map[string][]recording
	warm      map[string]recording
}

// newLibrary returns one without recordings.
func newLibrary(dir string) (*library, error) {
	l := &library{
		root: filepath.Join(dir, "recordings"), originals: filepath.Join(dir, "originals"),
		sets: make(map[string][]recording), warm: make(map[string]recording),
	}
	if err := os.Mkdir(l.originals, 0o755); err != nil {
		return nil, err
	}
	return l, l.original(1<<20, "warm")
}

// addSFTP adds what the cases over SFTP play.
func (l *library) addSFTP(s size) error {
	each := numbered("each", s.streams)
	if err := errors.Join(l.original(s.stream, "stream"), l.original(60e6, "seek"), l.original(s.streamsEach, each...)); err != nil {
		return err
	}
	return errors.Join(
		l.add("stream", 1, "stream"), l.add("cpu", 1, "stream"),
		l.add("first", s.seeks, "seek"), l.add("waste", 2, "seek"),
		l.add("many", s.streams, each...), l.add("listeners", s.listeners, each...),
	)
}

// addMount adds what the cases on a mount play: a file of its own for each that
// is played whole, and for ranges 200 MB, more than a processor's caches hold.
func (l *library) addMount(s size) error {
	parts, wholes := numbered("part", 50), numbered("whole", s.mount.files)
	if err := errors.Join(l.original(s.mount.stream, "big"), l.original(4<<20, parts...), l.original(200e3, wholes...)); err != nil {
		return err
	}
	return errors.Join(
		l.add("mount-stream", mountStreams, "big"),
		l.add("mount-ranges", s.mount.files, parts...), l.add("mount-small", s.mount.files, wholes...),
		l.add("mount-listeners", s.mount.listeners, parts...),
	)
}

// numbered returns n names.
func numbered(name string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s-%d", name, i))
	}
	return names
}

// original writes files of the same size and different content.
func (l *library) original(size int64, names ...string) error {
	past := time.Now().Add(-24 * time.Hour) // so that they do not look as if still being recorded
	for i, name := range names {
		path := filepath.Join(l.originals, name)
		err := writeFile(path, func(w io.Writer) error { return writeWAV(w, size, uint64(i)<<32+uint64(size)) })
		if err := errors.Join(err, os.Chtimes(path, past, past)); err != nil {
			return err
		}
	}
	return nil
}

// add fills the directory of a case with n recordings.
func (l *library) add(set string, n int, originals ...string) error {
	if err := os.MkdirAll(filepath.Join(l.root, set), 0o755); err != nil {
		return err
	}
	var err error
	if l.warm[set], err = l.link("warm", set+"/warm.wav"); err != nil {
		return err
	}
	for i := range n {
		c, err := l.link(originals[i%len(originals)], fmt.Sprintf("%s/%d.wav", set, i))
		if err != nil {
			return err
		}
		l.sets[set] = append(l.sets[set], c)
	}
	return nil
}

func (l *library) link(original, path string) (recording, error) {
	from, to := filepath.Join(l.originals, original), filepath.Join(l.root, filepath.FromSlash(path))
	if err := os.Link(from, to); err != nil {
		return recording{}, err
	}
	data, err := mapFile(from)
	return recording{path, data}, err
}

// writeCatalog writes a call for each recording, in the shape of the
// recorder's API.
func (l *library) writeCatalog(name string) error {
	type object = map[string]any
	var calls []object
	add := func(c recording) {
		calls = append(calls, object{"call_id": c.id(), "files": []object{{
			"file_id": "01", "file_path": catalogPrefix + "/" + c.path,
			"start_time": "2026-11-02T09:15:00-0800", "stop_time": "2026-11-02T09:17:00-0800",
		}}})
	}
	for set, recordings := range l.sets {
		add(l.warm[set])
		for _, c := range recordings {
			add(c)
		}
	}
	data, err := json.Marshal(object{"calls": calls})
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
