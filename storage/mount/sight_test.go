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
		{err: storage.ErrUnavailable, local: true},
		{mounted: true},
		{local: true}, // it is not mounted any more
		{mounted: true},
		{err: storage.ErrUnavailable, local: true},
	} {
		if p.note(i+1, seen); p.generation().local.Load() {
			t.Errorf("local after %+v", seen)
		}
	}
	p = blindPresence()
	if p.note(1, sight{local: true}); !p.generation().local.Load() {
		t.Error("a local root is not local")
	}
	if p.note(2, sight{}); p.generation().local.Load() {
		t.Error("local when something is mounted below")
	}
}
