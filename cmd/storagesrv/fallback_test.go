package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

// A fallbackRig is a configuration with a recorder whose recording, call-1, is
// encrypted on the storage.
type fallbackRig struct {
	dir      string // of the configuration and the spool
	recorder *metadatatest.Recorder
	address  string // of the recorder
	plain    []byte // the recording
}

// newFallbackRig has playback say what a configuration has under that key.
func newFallbackRig(t *testing.T, content metadatatest.Content, playback string) *fallbackRig {
	t.Helper()
	r := &fallbackRig{dir: t.TempDir(), recorder: metadatatest.New("playback", "recorder-secret"), plain: content.Data}
	api := httptest.NewServer(r.recorder)
	t.Cleanup(func() {
		api.CloseClientConnections() // a browser that plays holds one
		api.Close()
	})
	r.address = strings.TrimPrefix(api.URL, "http://")
	stop := time.Date(2013, 10, 12, 16, 38, 56, 0, time.UTC)
	r.recorder.Set(metadata.Call{ID: "call-1", State: 6, Files: []metadata.File{{ID: "01", Start: stop.Add(-time.Hour), Stop: stop, Path: "/r/a.wav", Encrypted: true}}})
	r.recorder.SetContent("call-1", "01", content)
	for name, text := range map[string]string{
		"password":        "recorder-secret\n",
		"recordings/a":    "",
		"spool/other.tmp": "",
		"storagesrv.yaml": fmt.Sprintf(`{http: {listen: "127.0.0.1:0", admin: "127.0.0.1:0"},
			metadata: {url: "http://%s", username: playback, password_file: password},
			storage: [{prefix: /r, mount: {root: "%s/recordings"}}], playback: {spool: {dir: spool}, %s}}`, r.address, r.dir, playback),
	} {
		file := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// serve starts the real program, which is killed in the end, and returns its URL.
func (r *fallbackRig) serve(t *testing.T) (*os.Process, string) {
	t.Helper()
	program, err := exec.LookPath("storagesrv")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "serve", "--config", filepath.Join(r.dir, "storagesrv.yaml"))
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	leaks.keep("recorder-secret")
	leaks.hearCommandLine(command.Process)
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	said := leaks.hear(log)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		var record struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "serving" {
			go io.Copy(io.Discard, said) // ends with the process
			return command.Process, "http://" + record.Address
		}
	}
	t.Fatal("it does not serve")
	return nil, ""
}

// spooled returns what is in the spool's directory besides what is not ours.
func (r *fallbackRig) spooled(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "other.tmp" {
			names = append(names, e.Name())
		}
	}
	return names
}

func play(t *testing.T, url, ranges string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url+"/recordings/call-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranges != "" {
		request.Header.Set("Range", ranges)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	if response.StatusCode >= 400 {
		leaks.hearText("answers", string(body))
	}
	return response, body
}

// TestTheSpoolIsEmptyAfterSIGKILL kills a server while a recording comes, and
// while another one is kept.
func TestTheSpoolIsEmptyAfterSIGKILL(t *testing.T) {
	r := newFallbackRig(t, metadatatest.Content{Data: sawtooth(60), NoRanges: true}, "encrypted: proxy")
	r.recorder.FailFile("call-1", metadatatest.HangAfter(200_000, nil))
	process, url := r.serve(t)
	if response, body := play(t, url, "bytes=100000-100009"); response.StatusCode != 206 || !bytes.Equal(body, r.plain[100_000:100_010]) {
		t.Fatalf("status %d, %d bytes", response.StatusCode, len(body))
	}
	if runtime.GOOS == "linux" {
		if n := openCopies(t, process.Pid, r.dir); n != 1 {
			t.Errorf("%d copies are open", n)
		}
	}
	process.Kill()
	process.Wait()
	// As an operating system leaves it that does not remove open files.
	leftOver := filepath.Join(r.dir, "spool", "storagesrv-spool-123.tmp")
	if err := os.WriteFile(leftOver, r.plain, 0o600); err != nil {
		t.Fatal(err)
	}
	r.recorder.FailFile("call-1", nil)
	_, url = r.serve(t)
	if names := r.spooled(t); len(names) > 0 {
		t.Errorf("left: %s", names)
	}
	if response, body := play(t, url, ""); response.StatusCode != 200 || !bytes.Equal(body, r.plain) {
		t.Errorf("status %d, %d bytes", response.StatusCode, len(body))
	}
	if names := r.spooled(t); len(names) > 0 {
		t.Errorf("named: %s", names)
	}
}

// openCopies counts the files without a name that a process has open in a spool.
func openCopies(t *testing.T, pid int, dir string) (n int) {
	t.Helper()
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir+"/spool/storagesrv-spool-") {
			n++
		}
	}
	return n
}

func TestServeRedirectsToTheRecorder(t *testing.T) {
	r := newFallbackRig(t, metadatatest.Content{Data: sawtooth(1)}, "encrypted: redirect, redirect_hosts: [play.example.lan]")
	_, url := r.serve(t)
	for link, want := range map[string]int{
		"": 302, // the recorder's own
		"https://play.example.lan/calls/file/call-1/signed?sign=S1gnature": 302,
		"https://127.0.0.1/calls/file/call-1/signed?sign=S1gnature":        302,
		"https://127.0.0.1:1/calls/file/call-1/signed?sign=S1gnature":      502,
		"https://evil.example/calls/file/call-1/signed?sign=S1gnature":     502,
	} {
		r.recorder.FailLink("call-1", nil)
		if link != "" {
			r.recorder.FailLink("call-1", metadatatest.Body("application/json", `{"signed_url":"`+link+`"}`))
		}
		response, _ := play(t, url, "")
		location := response.Header.Get("Location")
		if response.StatusCode != want || link != "" && want == 302 && location != link || link == "" && !strings.HasPrefix(location, "http://"+r.address+"/") {
			t.Errorf("%s: status %d %s", link, response.StatusCode, location)
		}
	}
}

func TestServeWantsASpoolItCanUse(t *testing.T) {
	r := newFallbackRig(t, metadatatest.Content{}, "encrypted: proxy")
	if err := os.RemoveAll(filepath.Join(r.dir, "spool")); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"serve", "--config", filepath.Join(r.dir, "storagesrv.yaml")}, io.Discard, io.Discard)
	if exitCode(err) != 2 || !strings.Contains(err.Error(), "playback.spool.dir: ") {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
}
