package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// Whoever reads the log may end before us, as journald does when it crashes. For
// systemd a death by SIGPIPE is no failure, after which it would start us anew.
func TestAServerOutlivesTheReaderOfItsLog(t *testing.T) {
	program, err := exec.LookPath("storagesrv")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"calls.json":      `[]`,
		"storagesrv.yaml": fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: ""}, metadata: {catalog: calls.json}, storage: [{prefix: /r, mount: {root: %s}}]}`, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	command := exec.Command(program, "serve", "--config", filepath.Join(dir, "storagesrv.yaml"))
	command.Stderr = w
	err = command.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { command.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(r); lines.Scan() && !strings.Contains(lines.Text(), `"msg":"serving"`); {
	}
	r.Close()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil { // which is logged
		t.Error(err)
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}
