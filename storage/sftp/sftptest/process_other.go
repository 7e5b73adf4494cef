//go:build unix && !linux

package sftptest

import (
	"fmt"
	"os/exec"
	"strings"
)

// processTable returns the processes of this machine.
func processTable() ([]process, error) {
	lines, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var table []process
	for line := range strings.Lines(string(lines)) {
		var p process
		if _, err := fmt.Sscan(line, &p.pid, &p.parent, &p.state); err == nil {
			table = append(table, p)
		}
	}
	return table, nil
}
