package mount

import (
	"os"
	"path/filepath"
	"time"
)

// reuse returns a file that is open already and is what name means, or nil. On
// a local disk that is looked at each time, which costs one system call; on a
// mount, where it would tell what is remembered anyway, it is believed for a
// while.
func (s *Store) reuse(name string) *opened {
	now := s.presence.generation()
	if s.presence.refusal(now) != nil {
		return nil
	}
	for {
		o := s.idle.take(name)
		if o == nil || o.on == now && s.stands(name, o) {
			return o
		}
		o.close()
	}
}

// stands reports whether o is what name means. A link that was put on the way
// since it was opened is not noticed: what is read is still the file that was
// inside the root.
func (s *Store) stands(name string, o *opened) bool {
	if !o.on.local.Load() {
		return time.Since(o.checked) < s.config.Revalidate
	}
	now, err := os.Lstat(filepath.Join(s.config.Root, filepath.FromSlash(name)))
	return err == nil && isSame(o.info, now)
}

// settled reports whether a change of the file would show in its time, of which
// some file systems know only every second one.
func (o *opened) settled() bool { return o.checked.Sub(o.info.ModTime()) > 2*time.Second }
