package sftptest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// processTable returns the processes of this machine. It asks for nothing that
// hangs with a process: its command line, which ps looks at, cannot be read
// while the process is in a system call on its memory that waits for a dead
// mount.
func processTable() ([]process, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var table []process
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		p, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		table = append(table, p)
	}
	return table, nil
}

// parseStat reads a line of /proc/PID/stat (proc(5)). The second field is the
// name of the program in parentheses, which may have any character in it.
func parseStat(line []byte) (p process, err error) {
	begin, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return p, fmt.Errorf("%q names no program", line)
	}
	if _, err = fmt.Sscan(string(line[:begin]), &p.pid); err == nil {
		_, err = fmt.Sscan(string(line[end+1:]), &p.state, &p.parent)
	}
	return p, err
}
