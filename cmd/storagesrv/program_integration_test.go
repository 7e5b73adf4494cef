//go:build integration && linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A program is ours, in a process of its own.
type program struct {
	t              *testing.T
	command        *exec.Cmd
	address, admin string
	ended          chan error

	mu  sync.Mutex
	log strings.Builder // guarded by mu
}

// mountTimeout is that of the program's mount.
const mountTimeout = 2 * time.Second

// startProgram starts the program over a mounted recording call-1 below root;
// before is what it is to be started by.
func startProgram(t *testing.T, root string, before ...string) *program {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"calls.json": `[{"call_id": "call-1", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]}]`,
		"storagesrv.yaml": fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"}, metadata: {catalog: calls.json},
			storage: [{prefix: /r, mount: {root: %s, timeout: %v}}]}`, root, mountTimeout),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return startConfigured(t, dir, before...)
}

// startConfigured starts the program with the storagesrv.yaml of a directory.
func startConfigured(t *testing.T, dir string, before ...string) *program {
	t.Helper()
	binary, err := exec.LookPath("storagesrv")
	if err != nil {
		t.Fatal(err)
	}
	args := append(before, binary, "serve", "--config", filepath.Join(dir, "storagesrv.yaml"))
	p := &program{t: t, command: exec.Command(args[0], args[1:]...), ended: make(chan error, 1)}
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Stdout = voice{leaks, "standard output"}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) })
	serving := make(chan bool, 2)
	go func() { // ends with the process
		for lines := bufio.NewScanner(leaks.hear(stderr)); lines.Scan(); {
			p.note(lines.Text(), serving)
		}
		close(serving)
		p.ended <- p.command.Wait()
	}()
	for range 2 {
		if !<-serving {
			t.Fatalf("the server ended: %s", p.logged())
		}
	}
	leaks.hearCommandLine(p.command.Process)
	return p
}

func (p *program) note(line string, serving chan<- bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.WriteString(line + "\n")
	var record struct{ Msg, Address string }
	if json.Unmarshal([]byte(line), &record) != nil {
		return
	}
	switch record.Msg {
	case "serving":
		p.address = record.Address
	case "serving health and metrics":
		p.admin = record.Address
	default:
		return
	}
	serving <- true
}

func (p *program) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// awaitLogged waits until the log has a text.
func (p *program) awaitLogged(text string) {
	p.t.Helper()
	p.await(text+" in the log", func() bool { return strings.Contains(p.logged(), text) })
}

func (p *program) await(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.Tick(10 * time.Millisecond); !holds(); <-tick {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s\n%s", what, p.logged())
		}
	}
}

// terminate sends SIGTERM.
func (p *program) terminate() {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for exit status 0.
func (p *program) ends() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%v\n%s", err, p.logged())
		}
	case <-time.After(time.Minute):
		p.t.Fatalf("it does not end\n%s", p.logged())
	}
}

// ask makes a request and reads the answer. A refusal must tell no secret.
func (p *program) ask(method, url string, header ...string) (*http.Response, string) {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Error(err)
	}
	leaks.keepHeader(request.Header)
	leaks.keepHeader(response.Header)
	if response.StatusCode >= 400 {
		leaks.hearText("answers", string(body))
	}
	return response, string(body)
}

// recordIn writes a recording, as one that nobody has written to for long.
func recordIn(t *testing.T, dir string, content []byte) string {
	t.Helper()
	path, longAgo := filepath.Join(dir, "a.wav"), time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	return path
}
