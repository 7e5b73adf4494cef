//go:build linux && (integration || nfs)

package mount_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inKernel returns how many threads of this process stay in system calls about
// files.
func inKernel(t testing.TB) int {
	t.Helper()
	n := inKernelNow(t)
	for range 20 {
		time.Sleep(10 * time.Millisecond)
		n = min(n, inKernelNow(t))
	}
	return n
}

func inKernelNow(t testing.TB) (n int) {
	t.Helper()
	calls, err := filepath.Glob("/proc/self/task/*/syscall")
	if err != nil || len(calls) == 0 {
		t.Fatalf("threads: %v", err)
	}
	for _, name := range calls {
		var number int
		said, err := os.ReadFile(name)
		if _, scanErr := fmt.Sscan(string(said), &number); err == nil && scanErr == nil && aboutFiles[number] {
			n++
		}
	}
	return n
}

var aboutFiles = map[int]bool{
	unix.SYS_OPENAT: true, unix.SYS_NEWFSTATAT: true, unix.SYS_FSTAT: true, unix.SYS_STATX: true, unix.SYS_PREAD64: true,
	unix.SYS_GETDENTS64: true, unix.SYS_READLINKAT: true, unix.SYS_STATFS: true, unix.SYS_FSTATFS: true,
}
