package main

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A supervisor that does not read what we say is to see that we ended all the
// same: it may start us anew.
func TestAStandardErrorThatTakesNothingDoesNotHoldTheExit(t *testing.T) {
	program, err := exec.LookPath("storagesrv")
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve", "--config", "missing.yaml")
	command.Stderr = w
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { command.Process.Kill() })
	defer late.Stop()
	if err := command.Wait(); command.ProcessState.ExitCode() != 2 {
		t.Errorf("%v", err)
	}
}
