//go:build linux

package mounttest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// A process is one that gets a signal when this one dies.
type process struct {
	command *exec.Cmd
	ended   chan struct{} // closed when it has, and is waited for
}

// start starts a process that gets signal when this one dies.
func start(command *exec.Cmd, signal syscall.Signal) (*process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // with those that it starts, and out of reach of a terminal's Ctrl-C
		Pdeathsig: signal,
	}
	p := &process{command: command, ended: make(chan struct{})}
	started := make(chan error)
	go func() { // ends with the process
		defer close(p.ended)
		// The kernel sends the signal when the thread dies that has started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal sends a signal to the process and those that it has started, unless it
// has ended.
func (p *process) signal(signal syscall.Signal) error {
	select {
	case <-p.ended:
		return nil
	default:
		return syscall.Kill(-p.command.Process.Pid, signal)
	}
}

// end sends a signal that the process ends by, and waits for that.
func (p *process) end(signal syscall.Signal) error {
	err := p.signal(signal)
	<-p.ended
	return err
}

// unmountAfterDeath starts a process that unmounts root when this one dies.
// That is needed where this one serves the mount itself: as long as one of its
// threads waits for an answer from there, the kernel neither lets that thread
// go nor closes the connection that the answer would come through.
func unmountAfterDeath(root string) (*process, error) {
	// umount is told not to look at what it unmounts.
	const script = `trap 'umount -c -i -f -l "$0"; rmdir "$0" "${0%/*}"; kill -KILL $!; exit' TERM; echo; sleep infinity & wait`
	command := exec.Command("sh", "-c", script, root)
	ready, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := start(command, syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	_, err = ready.Read(make([]byte, 1))
	return p, err
}
