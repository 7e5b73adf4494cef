//go:build integration && unix

package sftptest

import (
	"bufio"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

func TestADaemonLeavesNothingBehind(t *testing.T) {
	for name, start := range map[string]func() (*Daemon, error){
		"OpenSSH":  func() (*Daemon, error) { return StartOpenSSH(OpenSSHConfig{}) },
		"ProFTPD":  StartProFTPD,
		"Dropbear": StartDropbear,
		"rclone":   func() (*Daemon, error) { return StartRclone(t.TempDir()) },
	} {
		t.Run(name, func(t *testing.T) {
			d, err := start()
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close() // once more
			for range 3 {   // each a process, if the server makes one for a connection
				tcp, err := net.Dial("tcp", d.Addr())
				if err != nil {
					t.Fatal(err)
				}
				defer tcp.Close()
				tcp.SetDeadline(time.Now().Add(time.Minute))
				if _, err := bufio.NewReader(tcp).ReadString('\n'); err != nil {
					t.Errorf("banner: %v", err)
				}
			}
			processes, err := d.processes()
			if err != nil || len(processes) == 0 {
				t.Fatalf("%d processes, %v", len(processes), err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			table, err := processTable()
			if err != nil {
				t.Fatal(err)
			}
			for _, left := range table {
				was := func(p process) bool { return p.pid == left.pid }
				if slices.ContainsFunc(processes, was) && left.state != "Z" { // who ended is waited for by init in its own time
					t.Errorf("of %d processes, one is left: %+v", len(processes), left)
				}
			}
			if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left", d.dir)
			}
		})
	}
}
