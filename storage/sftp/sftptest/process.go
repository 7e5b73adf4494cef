//go:build unix

package sftptest

import "strings"

// A process is one of this machine.
type process struct {
	pid, parent int
	state       string // T: stopped; Z: ended, and not waited for
}

// stands reports whether the process does nothing until it is continued.
func (p process) stands() bool {
	return strings.HasPrefix(p.state, "T") || strings.HasPrefix(p.state, "Z")
}

// processes returns the server, the processes that it started, and those that
// they did.
func (d *Daemon) processes() ([]process, error) {
	table, err := processTable()
	if err != nil {
		return nil, err
	}
	var found []process
	children := make(map[int][]process)
	for _, p := range table {
		children[p.parent] = append(children[p.parent], p)
		if p.pid == d.process.Process.Pid {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i].pid]...)
	}
	return found, nil
}
