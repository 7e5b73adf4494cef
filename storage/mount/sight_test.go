package mount

import (
	"log/slog"
	"testing"

	"storagesrv/storage"
)

// What is found where a mount has gone is a local directory, whose system calls
// return for sure. Those on files of the mount do not, nor on what is mounted next.
func TestAMountThatIsAwayIsNotLocal(t *testing.T) {
	p := &presence{log: slog.New(slog.DiscardHandler), moved: func() {}}
	for _, seen := range []struct {
		sight
		want kind
	}{
		{sight{err: storage.ErrUnavailable, kind: local}, unknown},
		{sight{kind: remote, mounted: true}, remote},
		{sight{kind: local}, remote}, // it is not mounted any more
		{sight{kind: remote, mounted: true}, remote},
		{sight{err: storage.ErrUnavailable, kind: local}, remote},
	} {
		p.note(seen.sight)
		if got := p.sight().kind; got != seen.want {
			t.Errorf("after %+v: %v", seen.sight, got)
		}
	}
	p = &presence{log: slog.New(slog.DiscardHandler), moved: func() {}}
	p.note(sight{kind: local})
	if got := p.sight().kind; got != local {
		t.Errorf("a local root: %v", got)
	}
}
