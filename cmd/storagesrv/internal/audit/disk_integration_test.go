//go:build integration && linux

package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"storagesrv/cmd/storagesrv/internal/audit"
)

// smallDisk mounts a disk of so many KiB.
func smallDisk(t *testing.T, kib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// fill leaves no byte of a disk, until free is called.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := bytes.Repeat([]byte("x"), 4096); err == nil; _, err = f.Write(page) {
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that becomes full tears a line. Nothing starts until there is room
// again, and what has started is not lost.
func TestADiskThatBecomesFull(t *testing.T) {
	both(t, func(t *testing.T, required bool) {
		dir := smallDisk(t, 256)
		file := filepath.Join(dir, "audit.jsonl")
		log := open(t, audit.Config{File: file, Required: required})
		play(t, log, listener(-1), "a", 0, 1000) // has the file begin a page
		free := fill(t, dir)
		began, refusals := map[string]bool{"-1": true}, 0
		for i := range 100 { // more than fit into the rest of the page
			p, err := log.Begin(t.Context(), listener(i), "a", 1000)
			if err == nil {
				began[fmt.Sprint(i)] = true
				p.Took(0, 1000)
				p.End(audit.Sent)
			} else if refusals++; !required || !errors.Is(err, audit.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		if required != (refusals > 0) {
			t.Errorf("%d refusals", refusals)
		}
		free()
		play(t, log, anna, "a", 0, 1000)
		began["call-1"] = true
		if err := log.Close(); err != nil {
			t.Error(err)
		}
		lines, torn := wholeLines(t, contents(t, file))
		if torn == 0 {
			t.Error("no line was torn")
		}
		for call := range began {
			if lines["started "+call] != 1 || lines["played "+call] != 1 {
				t.Errorf("call %s: started %d, played %d", call, lines["started "+call], lines["played "+call])
			}
		}
		if len(lines) != 2*len(began) {
			t.Errorf("%d lines of %d listeners", len(lines), len(began))
		}
	})
}

func TestADirectoryThatBecomesReadOnly(t *testing.T) {
	dir := smallDisk(t, 256)
	file := filepath.Join(dir, "audit.jsonl")
	log := open(t, audit.Config{File: file, Required: true})
	play(t, log, listener(1), "a", 0, 1000)
	if err := syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("%v", err)
	}
	if _, err := log.Begin(t.Context(), listener(2), "a", 1000); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	play(t, log, listener(3), "a", 0, 1000)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	if got, _ := wholeLines(t, contents(t, file)); len(got) != 4 || got["started 3"] != 1 {
		t.Errorf("%v", got)
	}
}
