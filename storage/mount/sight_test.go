package mount

import (
	"testing"

	"storagesrv/storage"
)

// What is found where a mount has gone is a local directory, whose system calls
// return for sure. Those on files of the mount do not, nor on what is mounted next.
func TestAMountThatIsAwayIsNotLocal(t *testing.T) {
	p := blindPresence()
	for i, seen := range []sight{
		{err: storage.ErrUnavailable, kind: local},
		{kind: remote, mounted: true},
		{kind: local}, // it is not mounted any more
		{kind: remote, mounted: true},
		{err: storage.ErrUnavailable, kind: local},
	} {
		if p.note(i+1, seen); p.generation().local.Load() {
			t.Errorf("local after %+v", seen)
		}
	}
	p = blindPresence()
	if p.note(1, sight{kind: local}); !p.generation().local.Load() {
		t.Error("a local root is not local")
	}
	if p.note(2, sight{kind: remote}); p.generation().local.Load() {
		t.Error("local when something is mounted below")
	}
}
