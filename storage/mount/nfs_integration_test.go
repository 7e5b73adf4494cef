//go:build linux && integration

package mount_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestKernelNFS runs the tests of nfs_guest_integration_test.go in a guest that
// has the kernel's NFS.
func TestKernelNFS(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "mount.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "nfs", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the guest's kernel runs what is built without
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	guest := exec.CommandContext(ctx, "../../scripts/nfs", binary, "-test.v", "-test.run=^TestNFS", "-test.timeout=8m")
	guest.Cancel = func() error { return guest.Process.Signal(syscall.SIGTERM) }
	guest.WaitDelay = 10 * time.Second
	output, err := guest.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
	if !bytes.Contains(output, []byte("\n--- PASS: TestNFS")) {
		t.Error("no test has passed")
	}
}
