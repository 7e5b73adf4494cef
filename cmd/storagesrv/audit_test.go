package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is longer than a busy machine takes for anything.
const patience = time.Minute

// A child is the program in a process of its own.
type child struct {
	t       *testing.T
	dir     string
	command *exec.Cmd
	address string
	audit   string       // its file
	stdout  bytes.Buffer // of a process that has ended
	log     bytes.Buffer // of a process that has ended
	logged  chan struct{}
}

// startChild serves a recording call-1 of 16 MB, and call-2 of 80 kB. The audit
// is what stands under that key, after $FILE was replaced.
func startChild(t *testing.T, audit string) *child {
	t.Helper()
	dir := t.TempDir()
	c := &child{t: t, dir: dir, audit: filepath.Join(dir, "audit.jsonl"), logged: make(chan struct{})}
	c.write("a.wav", string(sawtooth(2000)))
	c.write("b.wav", string(sawtooth(10)))
	c.write("calls.json", `[{"call_id": "call-1", "files": [{"file_id": "01", "stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]},
		{"call_id": "call-2", "files": [{"file_id": "01", "stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/b.wav"}]}]`)
	c.write("storagesrv.yaml", fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "", drain_timeout: 1s, trusted_proxies: [127.0.0.1]},
		metadata: {catalog: calls.json}, storage: [{prefix: /r, mount: {root: %s}}], audit: %s}`, dir, strings.ReplaceAll(audit, "$FILE", c.audit)))
	program, err := exec.LookPath("storagesrv")
	c.must(err)
	c.command = exec.Command(program, "serve", "--config", filepath.Join(dir, "storagesrv.yaml"))
	c.command.Stdout = &c.stdout
	stderr, err := c.command.StderrPipe()
	c.must(err)
	c.must(c.command.Start())
	t.Cleanup(func() {
		c.command.Process.Kill()
		<-c.logged
		c.command.Wait()
	})
	address := make(chan string, 1)
	go func() { // ends with the process
		defer close(c.logged)
		for lines := bufio.NewScanner(leaks.hear(stderr)); lines.Scan(); {
			c.log.Write(append(lines.Bytes(), '\n'))
			var record struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
				address <- record.Address
			}
		}
	}()
	select {
	case c.address = <-address:
	case <-c.logged:
		t.Fatalf("the server ended: %s", &c.log)
	}
	return c
}

func (c *child) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) write(name, text string) {
	c.t.Helper()
	c.must(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
}

// end sends a signal and waits for the end of the process.
func (c *child) end(signal os.Signal) error {
	c.t.Helper()
	c.must(c.command.Process.Signal(signal))
	select {
	case <-c.logged:
	case <-time.After(patience):
		c.t.Fatal("it does not end")
	}
	return c.command.Wait()
}

// begin has a client at an address of its own begin to listen to call-1, and
// take no more after a while.
func (c *child) begin(client int) {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.address)
	c.must(err)
	c.t.Cleanup(func() { conn.Close() })
	c.must(conn.(*net.TCPConn).SetReadBuffer(128 << 10))
	fmt.Fprintf(conn, "GET /recordings/call-1 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", client)
	_, err = io.ReadFull(conn, make([]byte, 5000))
	c.must(err)
}

// play has a client listen to all of call-2.
func (c *child) play(client int) {
	c.t.Helper()
	request, err := http.NewRequest("GET", "http://"+c.address+"/recordings/call-2", nil)
	c.must(err)
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("192.0.2.%d", client))
	response, err := http.DefaultTransport.RoundTrip(request)
	c.must(err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	c.must(err)
}

// lines counts what files say, of whole lines, by event, call and outcome.
func (c *child) lines(files ...string) map[string]int {
	c.t.Helper()
	lines := make(map[string]int)
	for _, file := range files {
		text, err := os.ReadFile(file)
		c.must(err)
		countLines(c.t, string(text), lines)
	}
	return lines
}

func countLines(t *testing.T, text string, lines map[string]int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l struct{ Event, Call_id, Outcome string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || !strings.HasSuffix(line, "\n") {
			t.Errorf("%v: %q", err, line)
		}
		lines[strings.TrimSpace(l.Event+" "+l.Call_id+" "+l.Outcome)]++
	}
}

func TestTheAuditOfAServerThatIsEnded(t *testing.T) {
	c := startChild(t, "{file: $FILE, required: true}")
	const listeners = 20
	for i := range listeners {
		c.begin(i)
		c.play(i)
	}
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v: %s", err, &c.log)
	}
	got := c.lines(c.audit)
	want := map[string]int{"started call-1": listeners, "started call-2": listeners, "played call-1 cut": listeners, "played call-2 complete": listeners}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
}

// Only how far the listeners got is lost.
func TestTheAuditOfAServerThatIsKilled(t *testing.T) {
	c := startChild(t, "{file: $FILE}")
	const listeners = 20
	for i := range listeners {
		c.begin(i)
		c.play(i)
	}
	if err := c.end(os.Kill); err == nil {
		t.Error("SIGKILL had no effect")
	}
	got := c.lines(c.audit)
	want := map[string]int{"started call-1": listeners, "started call-2": listeners}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v", got)
	}
}

func TestSIGHUPBeginsANewAuditFile(t *testing.T) {
	c := startChild(t, "{file: $FILE}")
	c.play(1)
	old := c.audit + ".1"
	c.must(os.Rename(c.audit, old))
	c.must(c.command.Process.Signal(syscall.SIGHUP))
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(c.audit); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no new file")
		}
	}
	c.play(2)
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v: %s", err, &c.log)
	}
	if got := c.lines(old); fmt.Sprint(got) != "map[started call-2:1]" {
		t.Errorf("in the old file: %v", got)
	}
	if got := c.lines(c.audit); fmt.Sprint(got) != "map[played call-2 complete:2 started call-2:1]" {
		t.Errorf("in the new file: %v", got)
	}
}

func TestAnAuditOnStandardOutput(t *testing.T) {
	c := startChild(t, "{}")
	c.play(1)
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("%v: %s", err, &c.log)
	}
	got := make(map[string]int)
	countLines(t, c.stdout.String(), got)
	if fmt.Sprint(got) != "map[played call-2 complete:1 started call-2:1]" {
		t.Errorf("%v", got)
	}
}
