//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// environment says on what is measured, a line each.
func environment(o *options, cases []*benchCase) ([]string, error) {
	// What cannot be read is left out.
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	before, _, _ := strings.Cut(string(load), " ")
	lines := []string{
		fmt.Sprintf("%s: %d cores of %s, Linux %s", time.Now().UTC().Format("2 January 2006 15:04 UTC"),
			runtime.NumCPU(), processor(), strings.TrimSpace(string(kernel))),
		fmt.Sprintf("Load before: %s; beyond 0.5, others compute too, and the figures are not the peers'", before),
		strings.Join([]string{
			versionOf(o.storagesrv, "version"), versionOf("ssh", "-V"), versionOf("rclone", "version"),
			versionOf("sshfs", "--version"), versionOf("/usr/sbin/nginx", "-v"), "caddy " + versionOf("caddy", "version"), versionOf("wrk", "-v"),
		}, "; "),
	}
	if !slices.ContainsFunc(cases, func(c *benchCase) bool { return c.part.delays }) {
		return lines, nil
	}
	roundTrips, err := calibrate()
	return append(lines, roundTrips), err
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// versionOf returns the line with its name that a program says when asked for
// its version, or else the first: sshfs says others' before its own.
func versionOf(program string, args ...string) string {
	text, err := exec.Command(program, args...).CombinedOutput()
	if err != nil && len(text) == 0 {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	own := slices.IndexFunc(lines, func(line string) bool {
		return strings.Contains(strings.ToLower(line), filepath.Base(program))
	})
	return lines[max(0, own)]
}
