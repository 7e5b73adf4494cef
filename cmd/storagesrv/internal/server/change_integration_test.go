//go:build integration && linux

package server_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"storagesrv/storage/mount/mounttest"
)

// changes are what becomes of a file while it is sent.
var changes = map[string]struct {
	whole  bool // what was opened is served to its end
	change func(path string, content []byte) error
}{
	"replaced": {true, func(path string, content []byte) error {
		return errors.Join(os.WriteFile(path+".new", content, 0o644), os.Rename(path+".new", path))
	}},
	"appended to":      {false, func(path string, content []byte) error { return writeTo(path, os.O_APPEND, content[:5000]) }},
	"rewritten":        {false, func(path string, content []byte) error { return writeTo(path, 0, content) }},
	"rewritten longer": {false, func(path string, content []byte) error { return writeTo(path, 0, append(content, content[:2]...)) }},
	"truncated":        {false, func(path string, _ []byte) error { return os.Truncate(path, 100_000) }},
}

// The recording is shorter than what sendfile is given at a time on a disk, so
// that it is by the last look that the change is noticed there.
func TestAFileThatChangesWhileItIsSent(t *testing.T) {
	content, other := noisy(sharp, 1), noisy(sharp, 2)
	for name, c := range changes {
		for _, at := range []string{"mount", "disk"} {
			t.Run(name+" on a "+at, func(t *testing.T) {
				h := newHangRig(t, hangConfig{})
				h.call("mount", h.file("mount.wav", content))
				h.beside("disk", content)
				path := filepath.Join(map[string]string{"mount": h.dir, "disk": h.other}[at], at+".wav")
				_, body := rawGet(t, h.rig, "/recordings/"+at)
				if err := c.change(path, other); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(content))
				n, err := io.ReadFull(body, got)
				if err == nil && !bytes.Equal(got, content) {
					t.Error("a whole body of two versions")
				}
				if c.whole != (err == nil) {
					t.Errorf("%d bytes of %d, %v\n%s", n, len(content), err, h.log)
				}
			})
		}
	}
}

func TestAMountThatComesAndGoes(t *testing.T) {
	h := newHangRig(t, hangConfig{pageCache: true})
	content := wav(100_000)
	h.call("call-1", h.file("a.wav", content))
	h.call("missing", prefix+"/missing.wav")
	h.awaitPlays("/recordings/call-1", content)
	h.wantProblem("/recordings/missing", "recording-missing", 404, hung)
	for name, leave := range map[string]func() error{"unmounted": h.faulty.Unmount, "disconnected": h.faulty.Disconnect} {
		start := time.Now()
		if err := leave(); err != nil {
			t.Fatal(err)
		}
		await(t, "503 of a mount that is "+name, func() bool {
			got := h.get("/recordings/call-1")
			if got.status != 200 && got.problemName(t) != "storage-unavailable" {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
			return got.status == 503
		})
		h.wantProblem("/recordings/missing", "storage-unavailable", 503, hung)
		h.isDown(start, h.faulty.Root())
		if err := h.faulty.Mount(); err != nil {
			t.Fatal(err)
		}
		h.playsAgain("call-1", content, time.Now())
		await(t, "404 of what is not there", func() bool { return h.get("/recordings/missing").status == 404 })
		h.isUp()
	}
}

func TestAMountWhoseMarkerComesAndGoes(t *testing.T) {
	const marker = ".storagesrv"
	h := newHangRig(t, hangConfig{pageCache: true, marker: marker})
	content := wav(100_000)
	h.call("call-1", h.file("a.wav", content))
	h.wantProblem("/recordings/call-1", "storage-unavailable", 503, hung)
	for range 2 {
		h.file(marker, nil)
		h.playsAgain("call-1", content, time.Now())
		start := time.Now()
		if err := os.Remove(filepath.Join(h.dir, marker)); err != nil {
			t.Fatal(err)
		}
		h.isDown(start, marker)
		await(t, "503 without the marker", func() bool { return h.get("/recordings/call-1").status == 503 })
	}
}

// What is read at once is looked at once more before it is written.
func TestAFileThatChangesWhileAPartOfItIsReadIsNotSent(t *testing.T) {
	h := newHangRig(t, hangConfig{})
	content := wav(100_000)
	h.call("call-1", h.file("a.wav", content))
	h.awaitPlays("/recordings/call-1", content) // it is kept open, so that nothing but the look asks for attributes
	h.faulty.Set(mounttest.Fault{Op: mounttest.Getattr, Path: "a.wav", Hang: true})
	answered := make(chan answer)
	go func() { answered <- h.do("GET", "/recordings/call-1", header("Range", "bytes=1000-9999")) }()
	if err := h.faulty.AwaitHanging(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := writeTo(filepath.Join(h.dir, "a.wav"), 0, noisy(len(content), 2)); err != nil {
		t.Error(err)
	}
	h.faulty.Release()
	h.wantRefused("a part of what changed", <-answered, "storage-unavailable", 503)
}
