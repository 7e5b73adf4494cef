package mount

import (
	"container/list"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// idleFor is for how long a file stays open that nobody listens to: a
	// player's next Range comes sooner, and whoever wants to unmount can.
	idleFor = 10 * time.Second
	// mostIdle is how many of them there may be.
	mostIdle = 1024
)

// An opened is an open file and what it was when it was last known to be what
// its name means.
type opened struct {
	file    *os.File
	info    fs.FileInfo
	checked time.Time
	on      *generation
	copied  bool // it is to be read: see [File.Sendable]
}

// close closes the file soon.
func (o *opened) close() { o.on.closer.close(o.file) }

// isSame reports whether both are of the very same file, unchanged.
func isSame(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// idleFiles keeps files open that were just used, each for one user at a time:
// other systems than Linux send from a position that a descriptor has only one of.
type idleFiles struct {
	mu     sync.Mutex
	closed bool                       // guarded by mu
	byName map[string][]*list.Element // guarded by mu: the last one used comes last
	byAge  *list.List                 // guarded by mu: of *idleFile, the oldest in front
	expiry *time.Timer                // guarded by mu: runs while there are any
}

type idleFile struct {
	*opened
	name  string
	since time.Time
}

func newIdleFiles() *idleFiles {
	return &idleFiles{byName: make(map[string][]*list.Element), byAge: list.New()}
}

// take returns the file of this name that was used last, or nil.
func (i *idleFiles) take(name string) *opened {
	i.mu.Lock()
	defer i.mu.Unlock()
	if all := i.byName[name]; len(all) > 0 {
		return i.remove(all[len(all)-1])
	}
	return nil
}

// put keeps a file, or closes it.
func (i *idleFiles) put(name string, o *opened) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		o.close()
		return
	}
	i.byName[name] = append(i.byName[name], i.byAge.PushBack(&idleFile{o, name, time.Now()}))
	if i.byAge.Len() > mostIdle {
		i.remove(i.byAge.Front()).close()
	}
	if i.expiry == nil {
		i.expiry = time.AfterFunc(idleFor, i.expire)
	}
}

// drop closes all: they may be of a mount that has gone.
func (i *idleFiles) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.byAge.Len() > 0 {
		i.remove(i.byAge.Front()).close()
	}
}

func (i *idleFiles) close() {
	i.mu.Lock()
	i.closed = true
	if i.expiry != nil {
		i.expiry.Stop()
	}
	i.mu.Unlock()
	i.drop()
}

// expire closes those that have been idle for long enough.
func (i *idleFiles) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.expiry = nil
	for oldest := i.byAge.Front(); oldest != nil; oldest = i.byAge.Front() {
		if age := time.Since(oldest.Value.(*idleFile).since); age < idleFor {
			i.expiry = time.AfterFunc(idleFor-age, i.expire)
			return
		}
		i.remove(oldest).close()
	}
}

// remove is called with i.mu held.
func (i *idleFiles) remove(e *list.Element) *opened {
	idle := i.byAge.Remove(e).(*idleFile)
	all := i.byName[idle.name]
	for n := range all {
		if all[n] == e {
			all = append(all[:n], all[n+1:]...)
			break
		}
	}
	if len(all) == 0 {
		delete(i.byName, idle.name)
	} else {
		i.byName[idle.name] = all
	}
	return idle.opened
}
