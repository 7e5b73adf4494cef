package sftptest

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	for line, want := range map[string]process{
		"12 (sshd) S 1 12 12 0 -1\n":               {pid: 12, parent: 1, state: "S"},
		"345 (a) Z 9 (b c)) T 12 345 345 0 -1 4\n": {pid: 345, parent: 12, state: "T"},
	} {
		if got, err := parseStat([]byte(line)); got != want || err != nil {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "12", "12 (sshd", "12 (sshd)", "12 (sshd) S", ") S 1 (", "x (sshd) S 1"} {
		if got, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestProcessTableHasThisProcess(t *testing.T) {
	table, err := processTable()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range table {
		if p.pid == os.Getpid() {
			if p.parent != os.Getppid() {
				t.Errorf("%+v, and its parent is %d", p, os.Getppid())
			}
			return
		}
	}
	t.Errorf("not among %d processes", len(table))
}
