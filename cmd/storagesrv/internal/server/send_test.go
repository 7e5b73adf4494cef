package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/storage"
	"storagesrv/storage/sftp/sftptest"
)

// dialRaw makes a connection to the server, whose receive buffer stays small.
func dialRaw(t testing.TB, r *rig) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	tcp := conn.(*net.TCPConn)
	if err := tcp.SetReadBuffer(128 << 10); err != nil {
		t.Fatal(err)
	}
	return tcp
}

// rawGet asks for a recording on a connection of its own, and returns it with
// the response's header read.
func rawGet(t testing.TB, r *rig, path string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	tcp := dialRaw(t, r)
	fmt.Fprintf(tcp, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	reader := bufio.NewReader(tcp)
	if status, err := reader.ReadString('\n'); status != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("GET %s: %q, %v\n%s", path, status, err, r.log)
	}
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return tcp, reader
		}
	}
}

// long is longer than all the buffers between a server and a client that does
// not read.
const long = 10_000_000

func TestAFileThatShrinksCutsTheBody(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			r.call("call-1", r.file("a.wav", wav(long)))
			conn, body := rawGet(t, r, "/recordings/call-1")
			if err := os.Truncate(filepath.Join(r.dir, "a.wav"), 100_000); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, body)
			if n >= 2*long {
				t.Errorf("got %d bytes, %v, of a file that was cut", n, err)
			}
			conn.Close()
			r.awaitTruncated(kind, 1)
		})
	}
}

// awaitTruncated waits until n bodies were cut for the storage's sake, and
// looks at the log.
func (r *rig) awaitTruncated(kind string, n int) {
	r.t.Helper()
	series := fmt.Sprintf(`storagesrv_truncated_total{store="%s %s"}`, prefix, kind)
	await(r.t, series, func() bool { return r.metric(series) == fmt.Sprint(n) })
	await(r.t, "the log", func() bool { return strings.Contains(r.log.String(), "the storage failed after") })
	await(r.t, "the end of the streams", func() bool { return r.server.Streams() == 0 })
}

func TestAStorageThatFailsMidwayCutsTheBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		timeout time.Duration
		fault   func(*sftptest.Server)
	}{
		{"connection killed", patient, func(s *sftptest.Server) { s.KillConnections() }},
		{"frozen", 3 * time.Second, func(s *sftptest.Server) { s.Set(sftptest.Faults{Frozen: true}) }},
		{"read fails", patient, func(s *sftptest.Server) { s.Set(sftptest.Faults{FailAt: 500_000}) }},
		{"ends early", patient, func(s *sftptest.Server) { s.Set(sftptest.Faults{EndAt: 500_000}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var sshd *sftptest.Server
			r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
				store, sshd = startSFTP(t, dir, c.timeout)
				return store, "sftp"
			}})
			content := wav(1000)
			r.call("short", r.file("b.wav", content))
			r.call("call-1", r.file("a.wav", wav(long)))
			r.awaitPlays("/recordings/short", content) // it is connected
			conn, body := rawGet(t, r, "/recordings/call-1")
			c.fault(sshd)
			if n, _ := io.Copy(io.Discard, body); n >= 2*long {
				t.Errorf("got all %d bytes", n)
			}
			conn.Close()
			r.awaitTruncated("sftp", 1)
			sshd.Set(sftptest.Faults{})
			r.awaitPlays("/recordings/short", content)
		})
	}
}

func TestALieAboutTheSizeCutsTheBody(t *testing.T) {
	var sshd *sftptest.Server
	r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (store storage.Store, kind string) {
		store, sshd = startSFTP(t, dir, patient)
		return store, "sftp"
	}})
	content := wav(50_000)
	r.call("call-1", r.file("a.wav", content))
	sshd.Set(sftptest.Faults{ExtraSize: 1000})
	got := r.get("/recordings/call-1")
	if got.err == nil {
		t.Errorf("status %d, %d bytes and no error, though the server lied", got.status, len(got.body))
	}
	if !bytes.HasPrefix(content, got.body) {
		t.Error("got bytes that are not the file's")
	}
	r.awaitTruncated("sftp", 1)
}

func TestAClientThatTakesNothingIsCut(t *testing.T) {
	t.Parallel()
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigConfig{store: store, stall: 500 * time.Millisecond})
			r.call("call-1", r.file("a.wav", wav(long)))
			_, body := rawGet(t, r, "/recordings/call-1")
			await(t, "the cut", func() bool { return strings.Contains(r.log.String(), "took nothing for") })
			if n, _ := io.Copy(io.Discard, body); n >= 2*long {
				t.Errorf("got all %d bytes", n)
			}
			if n := r.metric(fmt.Sprintf(`storagesrv_truncated_total{store="%s %s"}`, prefix, kind)); n != "0" {
				t.Errorf("%s bodies count as the storage's fault", n)
			}
		})
	}
}

func TestAClientThatTakesNoProblemsIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{stall: time.Second})
	conn := dialRaw(t, r)
	err := conn.SetWriteDeadline(time.Now().Add(hung))
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err = io.WriteString(conn, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			break
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server holds on to a client that takes nothing")
	}
}

// A write to a client may fail before the header is sent, and the body must
// not go on as if it had been.
func TestNothingIsSentWithoutAHeader(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{stall: time.Second})
	r.call("call-1", r.file("a.wav", wav(50_000)))
	conn := dialRaw(t, r)
	if err := conn.SetDeadline(time.Now().Add(hung)); err != nil {
		t.Fatal(err)
	}
	// net/http waits for the body of the request before it sends a header.
	io.WriteString(conn, "GET /recordings/call-1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) || len(got) > 0 && !bytes.HasPrefix(got, []byte("HTTP/1.1 200 OK\r\n")) {
		t.Errorf("%v, %d bytes, from %.40q on", err, len(got), got)
	}
}

func TestAFileRewrittenInPlaceCutsTheBody(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(long)))
	_, body := rawGet(t, r, "/recordings/call-1")
	file, err := os.OpenFile(filepath.Join(r.dir, "a.wav"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(make([]byte, 2*long))
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if n, _ := io.Copy(io.Discard, body); n >= 2*long {
		t.Errorf("got all %d bytes", n)
	}
	r.awaitTruncated("mount", 1)
}

func TestASlowClientIsNotCut(t *testing.T) {
	t.Parallel()
	const stall = 5 * time.Second // in which a busy machine makes the client run
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigConfig{store: store, stall: stall})
			content := wav(long)
			r.call("call-1", r.file("a.wav", content))
			conn, body := rawGet(t, r, "/recordings/call-1")
			// Collecting all that comes would stop this client for seconds, when its
			// buffer has to grow on a busy machine.
			got, chunk := 0, make([]byte, 30_000)
			take := func() {
				n, err := io.ReadFull(body, chunk[:min(len(chunk), len(content)-got)])
				if !bytes.Equal(chunk[:n], content[got:got+n]) {
					t.Fatalf("wrong bytes at %d", got)
				}
				if got += n; err != nil {
					t.Fatalf("cut after %d bytes: %v\n%s", got, err, r.log)
				}
			}
			// Twice as long as the stall timeout, and always taking something.
			for deadline, tick := time.Now().Add(2*stall), time.Tick(20*time.Millisecond); time.Now().Before(deadline); <-tick {
				take()
			}
			for got < len(content) {
				take()
			}
			conn.Close()
		})
	}
}

func TestAClientThatLeavesIsNobodysFault(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			r.call("call-1", r.file("a.wav", wav(long)))
			conn, _ := rawGet(t, r, "/recordings/call-1")
			conn.SetLinger(0)
			conn.Close()
			await(t, "the log", func() bool { return strings.Contains(r.log.String(), "the client left after") })
			await(t, "the end of the stream", func() bool { return r.server.Streams() == 0 })
			if n := r.metric(fmt.Sprintf(`storagesrv_truncated_total{store="%s %s"}`, prefix, kind)); n != "0" {
				t.Errorf("%s bodies count as the storage's fault", n)
			}
		})
	}
}

// A call that goes on has a file that grows. Another that grows may have been
// written anew.
func TestAFileThatGrowsIsServedAsItWas(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			content := wav(long)
			ongoing := r.call("call-1", r.file("a.wav", content))
			ongoing.State = 4
			r.recorder.Set(ongoing)
			_, body := rawGet(t, r, "/recordings/call-1")
			file, err := os.OpenFile(filepath.Join(r.dir, "a.wav"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = file.Write(make([]byte, 5000))
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(content))
			if _, err := io.ReadFull(body, got); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAFreshFileHasAWeakValidatorUntilItHasSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t, rigConfig{})
	r.call("fresh", r.file("fresh.wav", wav(1000)))
	r.call("future", r.file("future.wav", wav(1000)))
	ongoing := r.call("ongoing", r.file("ongoing.wav", wav(1000)))
	ongoing.State = 4
	r.recorder.Set(ongoing)
	touch := func(name string, when time.Time) {
		if err := os.Chtimes(filepath.Join(r.dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	touch("future.wav", time.Now().Add(time.Hour))
	unsettled := func(id string) bool {
		got := r.get("/recordings/" + id)
		weak := strings.HasPrefix(got.header.Get("ETag"), `W/"`)
		if noStore := got.header.Get("Cache-Control") == "no-store"; got.status != 200 || noStore != weak || (got.header.Get("Last-Modified") == "") != weak {
			t.Errorf("%s: %d %v", id, got.status, got.header)
		}
		return weak
	}
	for _, id := range []string{"future", "ongoing"} {
		if !unsettled(id) {
			t.Errorf("%s has a strong validator", id)
		}
	}
	// A slow machine finds it settled already, which proves nothing.
	for again := true; again; {
		now := time.Now()
		touch("fresh.wav", now)
		weak := unsettled("fresh")
		ranged := r.do("GET", "/recordings/fresh", header("Range", "bytes=0-9", "If-Range", r.get("/recordings/fresh").header.Get("ETag")))
		if again = time.Since(now.Truncate(time.Second)) >= 2*time.Second; !again && (!weak || ranged.status != 200) {
			t.Errorf("a fresh file has a strong validator, or If-Range with a weak one answers %d", ranged.status)
		}
	}
	await(t, "the fresh file to settle", func() bool { return !unsettled("fresh") })
	await(t, "the file from the future to settle", func() bool { return !unsettled("future") })
	if !unsettled("ongoing") {
		t.Error("a call that goes on has a strong validator")
	}
}

func TestHTTP2AndTLS(t *testing.T) {
	for kind, store := range inProcess {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t, rigConfig{store: store})
			content := wav(500_000)
			r.call("call-1", r.file("a.wav", content))
			r.call("shrinks", r.file("b.wav", wav(long)))
			for _, protocol := range []string{"http/1.1", "h2"} {
				s := httptest.NewUnstartedServer(r.server)
				s.Config.ConnContext = server.ConnContext
				s.EnableHTTP2 = protocol == "h2"
				s.StartTLS()
				defer s.Close()
				r.client = s.Client()
				got := r.doURL("GET", s.URL+"/recordings/call-1", nil)
				if got.err != nil || !bytes.Equal(got.body, content) {
					t.Errorf("%s: %d, %d bytes, %v", protocol, got.status, len(got.body), got.err)
				}
				got = r.doURL("GET", s.URL+"/recordings/call-1", header("Range", "bytes=5-400000"))
				if got.status != 206 || !bytes.Equal(got.body, content[5:400_001]) {
					t.Errorf("%s: %d, %d bytes, %v", protocol, got.status, len(got.body), got.err)
				}
			}
			// A body that cannot be completed resets the stream.
			response, err := r.client.Get(r.url2(t) + "/recordings/shrinks")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.ProtoMajor != 2 || response.TLS == nil || response.TLS.Version < tls.VersionTLS12 {
				t.Errorf("protocol %s", response.Proto)
			}
			if err := os.Truncate(filepath.Join(r.dir, "b.wav"), 100_000); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, response.Body); err == nil {
				t.Errorf("got %d bytes and no error", n)
			}
			r.awaitTruncated(kind, 1)
		})
	}
}

// url2 returns the URL of another listener of the server, with HTTP/2.
func (r *rig) url2(t testing.TB) string {
	s := httptest.NewUnstartedServer(r.server)
	s.Config.ConnContext = server.ConnContext
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	r.client = s.Client()
	return s.URL
}
