package mount

import (
	"context"
	"sync/atomic"
)

// A generation is a file system for as long as it is the one at the root. Its
// system calls have slots of their own: those that never return, in a mount that
// is dead, are not missing to the one that takes its place.
type generation struct {
	fs     uint64 // guarded by presence.mu: which file system it is; 0 before one was seen
	guard  *guard
	closer *closer
	local  atomic.Bool // it is on a disk of this machine, as far as was seen
}

// generations is how many mounts can be full of calls that hang, before those
// that come after them have to do with the slots that are left: altogether there
// are so many times [Config.MaxStuck].
const generations = 4

func newGeneration(fs uint64, c Config, all *slots) *generation {
	g := newGuard(c.Timeout, c.MaxStuck, all)
	return &generation{fs: fs, guard: g, closer: &closer{guard: g}}
}

// call makes system calls about name in g: under guard, unless they return for sure.
func call[T any](ctx context.Context, g *generation, name string, f func() (T, error), drop func(T)) (T, error) {
	if g.local.Load() {
		return f()
	}
	return guarded(ctx, g.guard, name, f, drop)
}
