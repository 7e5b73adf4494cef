package mount_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"storagesrv/storage/mount"
)

// A root on a local disk that is moved is noticed at once, however it is spelled.
// The looks at each second would notice it a second after they noticed the last.
func TestALocalRootIsWatched(t *testing.T) {
	for name, spell := range map[string]func(root string) string{
		"plain":        func(root string) string { return root },
		"with a slash": func(root string) string { return root + "/" },
		"with dots":    func(root string) string { return filepath.Dir(root) + "//./" + filepath.Base(root) + "/." },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "recordings")
			if err := os.MkdirAll(filepath.Join(root, "one"), 0o755); err != nil {
				t.Fatal(err)
			}
			told := make(tellings, 100)
			store := newStore(t, mount.Config{Root: spell(root), Logger: slog.New(slog.NewTextHandler(told, nil))})
			eventually(t, "it is there", func() bool { return store.Health().Up })
			quickest := [2]time.Duration{time.Hour, time.Hour} // of going away, and of coming back
			for round := range 4 {
				for i, to := range [][2]string{{root, root + ".away"}, {root + ".away", root}} {
					start := time.Now()
					if err := os.Rename(to[0], to[1]); err != nil {
						t.Fatal(err)
					}
					select {
					case <-told:
					case <-time.After(time.Minute):
						t.Fatal("not in a minute")
					}
					if round > 0 { // before, a look may have been due anyway
						quickest[i] = min(quickest[i], time.Since(start))
					}
				}
			}
			if max(quickest[0], quickest[1]) > time.Second/2 {
				t.Errorf("going away and coming back took %v at least", quickest)
			}
		})
	}
}

// tellings receives one for each record of a log.
type tellings chan struct{}

var _ io.Writer = tellings(nil)

func (told tellings) Write(p []byte) (int, error) {
	told <- struct{}{}
	return len(p), nil
}
