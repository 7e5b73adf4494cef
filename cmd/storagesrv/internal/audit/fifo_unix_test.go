//go:build unix

package audit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/audit"
	"storagesrv/storage/storagetest"
)

// Opening a FIFO hangs as opening a file in a dead mount does, until somebody
// reads it.
func TestAFileThatHangsDoesNotHangTheServer(t *testing.T) {
	dir := t.TempDir()
	storagetest.LeaksNothing(t) // before dir is removed: what has hung may create a file
	both(t, func(t *testing.T, required bool) {
		t.Parallel()
		file := filepath.Join(dir, fmt.Sprint(required))
		if err := syscall.Mkfifo(file, 0o640); err != nil {
			t.Fatal(err)
		}
		log, err := audit.Open(audit.Config{File: file, Quiet: quiet, Required: required, Patience: time.Second / 10})
		if required != (err != nil) {
			t.Errorf("%v", err)
		}
		if log != nil {
			play(t, log, anna, "a", 0, 1000)
			if err := log.Reopen(); err == nil {
				t.Error("no error of opening it anew")
			}
			if err := log.Close(); err == nil {
				t.Error("no error of closing it")
			}
		}
		reader, err := os.OpenFile(file, os.O_RDWR, 0) // ends what hangs
		if err := errors.Join(err, os.Remove(file)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
	})
}
