//go:build integration && linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"storagesrv/storage/mount/mounttest"
)

// drained is how long a program may take to end that waits for nothing but its
// mount: less than drain_timeout, which is a minute by default.
const drained = 20 * time.Second

func startFaulty(t *testing.T, pageCache bool, content []byte) *mounttest.Faulty {
	t.Helper()
	dir := t.TempDir()
	recordIn(t, dir, content)
	faulty, err := mounttest.StartFaulty(mounttest.FaultyConfig{Dir: dir, PageCache: pageCache})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := faulty.Close(); err != nil {
			t.Error(err)
		}
	})
	return faulty
}

// Whether a stream stops in a sendfile or in what is fetched for the next one
// depends on how fast the client is scheduled; the program ends either way.
func TestServeEndsWhileAStreamHangs(t *testing.T) {
	for left := 10; !endsWhileAStreamHangs(t); left-- {
		if left == 0 {
			t.Fatal("no sendfile has hung")
		}
	}
}

// endsWhileAStreamHangs reports whether it was a sendfile that hung.
func endsWhileAStreamHangs(t *testing.T) bool {
	t.Helper()
	faulty := startFaulty(t, true, sawtooth(2500))
	kept, err := os.Open(filepath.Join(faulty.Root(), "a.wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	p := startProgram(t, faulty.Root())
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /recordings/call-1 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, 50_000)); err != nil {
		t.Fatal(err)
	}
	// What sendfile is about to send is no longer in memory, and does not come.
	faulty.Set(mounttest.Fault{Op: mounttest.Read, Offset: 1, Hang: true})
	if err := unix.Fadvise(int(kept.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, conn) // ends with the connection
	start := time.Now()
	p.terminate()
	p.ends()
	log := p.logged()
	if took := time.Since(start); took > drained {
		t.Errorf("after %v:\n%s", took, log)
	}
	hung := strings.Contains(log, "the kernel hangs in the mount")
	if hung && !strings.Contains(log, `"msg":"ended","cut":1`) {
		t.Errorf("the stream that hung was not cut:\n%s", log)
	}
	return hung
}

// Of the process the kernel keeps what waits for an answer of the mount, until
// the mount is taken away: that is not the program's to end.
func TestServeEndsWhileRequestsHang(t *testing.T) {
	faulty := startFaulty(t, false, sawtooth(100))
	p := startProgram(t, faulty.Root())
	p.awaitMetrics(`storagesrv_store_up{store="/r mount"} 1`)
	faulty.Set(mounttest.Fault{Hang: true})
	answer := make(chan error, 1)
	go func() { // ends with its answer
		response, err := http.Get("http://" + p.address + "/recordings/call-1")
		if err == nil && response.StatusCode != 503 && response.StatusCode != 504 {
			err = errors.New(response.Status)
		}
		answer <- err
	}()
	if err := faulty.AwaitHanging(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.terminate()
	p.awaitLogged(`"msg":"ended","cut":0`)
	if took := time.Since(start); took > drained {
		t.Errorf("after %v:\n%s", took, p.logged())
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := faulty.Unmount(); err != nil {
		t.Error(err)
	}
	p.ends()
}

func TestMetricsTellOfAMountThatHangs(t *testing.T) {
	faulty := startFaulty(t, false, sawtooth(100))
	p := startProgram(t, faulty.Root())
	p.awaitMetrics(`storagesrv_store_stuck_calls{store="/r mount"} 0`, `storagesrv_store_up{store="/r mount"} 1`)
	faulty.Set(mounttest.Fault{Op: mounttest.Getattr, Hang: true})
	if response, body := p.ask("GET", "http://"+p.address+"/recordings/call-1"); response.StatusCode != 503 && response.StatusCode != 504 {
		t.Errorf("%s: %s", response.Status, body)
	}
	p.awaitMetrics(`storagesrv_store_up{store="/r mount"} 0`)
	if _, metrics := p.ask("GET", "http://"+p.admin+"/metrics"); strings.Contains(metrics, `storagesrv_store_stuck_calls{store="/r mount"} 0`) {
		t.Error("no calls count as stuck")
	}
	if response, body := p.ask("GET", "http://"+p.admin+"/readyz"); response.StatusCode != 503 || !strings.Contains(body, fmt.Sprint("has not answered for ", mountTimeout)) {
		t.Errorf("/readyz: %s %s", response.Status, body)
	}
	faulty.Release()
	p.awaitMetrics(`storagesrv_store_stuck_calls{store="/r mount"} 0`, `storagesrv_store_up{store="/r mount"} 1`)
	p.terminate()
	p.ends()
}

// awaitMetrics waits until all lines are among the metrics.
func (p *program) awaitMetrics(lines ...string) {
	p.t.Helper()
	p.await(fmt.Sprint(lines), func() bool {
		_, metrics := p.ask("GET", "http://"+p.admin+"/metrics")
		for _, line := range lines {
			if !strings.Contains(metrics, line+"\n") {
				return false
			}
		}
		return true
	})
}
