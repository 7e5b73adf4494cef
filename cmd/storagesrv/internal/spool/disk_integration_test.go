//go:build integration && linux

package spool_test

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"

	"storagesrv/cmd/storagesrv/internal/spool"
)

// A disk that is smaller than the spool, as one that others fill too, is no reason
// to keep what nobody reads rather than what somebody wants.
func TestADiskThatIsFullFirstGetsRoomByWhatNobodyReads(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", 2*mib)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	s, err := spool.New(spool.Config{Dir: dir, Size: 100 * mib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, key := range []string{"a", "b"} {
		f := s.Fill(t.Context(), key, source(random(800_000)))
		if got, err := io.ReadAll(f); len(got) != 800_000 || err != nil {
			t.Fatalf("%s: %d bytes, %v", key, len(got), err)
		}
		f.Close()
	}
	held := s.Open(t.Context(), "b")
	defer held.Close()
	data := random(1_000_000)
	f := s.Fill(t.Context(), "c", source(data))
	defer f.Close()
	if got, err := io.ReadAll(f); !bytes.Equal(got, data) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if a := s.Open(t.Context(), "a"); a != nil {
		t.Error("there is room for all of them")
		a.Close()
	}
	wantFull(t, s.Fill(t.Context(), "d", source(random(800_000)))) // the others are read
}
