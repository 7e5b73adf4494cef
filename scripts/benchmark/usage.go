//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// userHertz is the unit of CPU time in /proc, on all architectures of Go's (proc(5)).
const userHertz = 100

// cpuTime returns what the process has used so far, in steps of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / userHertz, errors.Join(err, err2)
}

// cpuTime returns what the processes of s, and those that they started, have
// used so far.
func (s *server) cpuTime() (total time.Duration, err error) {
	for _, p := range s.processes {
		for _, pid := range family(p.pid()) {
			used, err := cpuTime(pid)
			if err != nil {
				return 0, err
			}
			total += used
		}
	}
	return total, nil
}

// memory returns what they have resident, in bytes, and have had at most.
func (s *server) memory() (resident, peak int64, err error) {
	for _, p := range s.processes {
		now, err := memory(p.pid(), "VmRSS")
		most, err2 := memory(p.pid(), "VmHWM")
		if err := errors.Join(err, err2); err != nil {
			return 0, 0, err
		}
		resident, peak = resident+now, peak+most
	}
	return resident, peak, nil
}

// stat returns the fields of /proc/PID/stat after the command: state is the first.
func stat(pid int) ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// peakMemory returns the most that the process and those that it started have
// had resident, in bytes.
func peakMemory(pid int) (int64, error) { return memory(pid, "VmHWM") }

// memory returns a key of /proc/PID/status for the process and those that it
// started together, in bytes.
func memory(pid int, key string) (int64, error) {
	total := int64(0)
	for _, pid := range family(pid) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		total += kilobytes(string(status), key) << 10
	}
	if total == 0 {
		return 0, fmt.Errorf("process %d has no memory: it has ended", pid)
	}
	return total, nil
}

// availableMemory returns how many bytes can be used without swapping.
func availableMemory() (int64, error) {
	info, err := os.ReadFile("/proc/meminfo")
	return kilobytes(string(info), "MemAvailable") << 10, err
}

// kilobytes returns the value of a line such as "VmHWM:  1234 kB", or 0.
func kilobytes(text, key string) int64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return n
		}
	}
	return 0
}

// family returns pid and those of the processes that it started, and so on.
func family(pid int) []int {
	children := make(map[int][]int)
	paths, _ := filepath.Glob("/proc/[0-9]*") // fails only if the pattern is wrong
	for _, path := range paths {
		child, _ := strconv.Atoi(filepath.Base(path))
		if fields, err := stat(child); err == nil {
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}
