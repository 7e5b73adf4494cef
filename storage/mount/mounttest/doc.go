// Package mounttest makes real mounts that misbehave on demand, for tests of
// what reads from them. They need Linux, and root:
//
//	faulty, err := mounttest.StartFaulty(mounttest.FaultyConfig{Dir: recordings})
//	defer faulty.Close()
//	store, err := mount.New(mount.Config{Root: faulty.Root()})
//	faulty.Set(mounttest.Fault{Op: mounttest.Read, Path: "20131012/a.mp3", Hang: true})
//	go play(store)
//	err = faulty.AwaitHanging(ctx, 1)
//	...
//	faulty.Release()
//
// Nothing is left of a mount when it is closed, nor when the test dies while
// system calls hang in it.
package mounttest
