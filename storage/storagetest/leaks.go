package storagetest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, and fails if they leave goroutines behind:
//
//	func TestMain(m *testing.M) { storagetest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if code != 0 {
		os.Exit(code)
	}
	if err := leaks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// LeaksNothing asserts, when t ends, that no goroutine is left of what begins
// from here on.
func LeaksNothing(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := leaks(before); err != nil {
			t.Error(err)
		}
	})
}

// leaks returns an error that tells of goroutines that do not end. goleak itself
// waits for less than a second, which a busy machine may need to end them.
func leaks(options ...goleak.Option) error {
	for deadline := time.Now().Add(hangs); ; {
		if err := goleak.Find(options...); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
