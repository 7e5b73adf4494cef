//go:build unix

package audit

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// A pipe takes lines, and cannot be synced: it stands for a disk that fails to
// write what the kernel has taken.
func TestWhatWasNotSyncedIsNotWritten(t *testing.T) {
	for _, sync := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, nil, 0o640); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		f := &file{path: path, sync: sync, log: slog.New(slog.DiscardHandler), open: w, info: info}
		const line = "{}\n"
		n, err := f.write([]byte(line))
		if sync && (n != 0 || err == nil) || !sync && (n != len(line) || err != nil) {
			t.Errorf("sync %t: %d bytes, %v", sync, n, err)
		}
		if sync && f.open != nil {
			t.Error("it is not opened anew")
		}
		f.close()
		r.Close()
	}
}
