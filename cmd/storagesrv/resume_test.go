package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"storagesrv/storage/sftp/sftptest"
)

// TestStreamsThatGoOnAreCounted breaks the connection of the first store in
// mid-stream, for a moment or for good.
func TestStreamsThatGoOnAreCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		resume string
		fault  func(*sftptest.Proxy)
		want   []string
	}{
		{"in the same store", "2m", (*sftptest.Proxy).Reset, []string{
			`storagesrv_stream_resumes_total{store="/r sftp"} 1`,
		}},
		{"in another store", "300ms", func(p *sftptest.Proxy) { p.Refuse(true); p.Reset() }, []string{
			`storagesrv_stream_resumes_total{store="/r sftp"} 0`,
			`storagesrv_stream_resumes_total{store="/r mount"} 1`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := sawtooth(2000)
			service, proxy := assembleBehindProxy(t, content, c.resume)
			public := httptest.NewServer(service.server)
			defer public.Close()
			body := begin(t, public.URL+"/recordings/call-1")
			c.fault(proxy)
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
			}
			w := httptest.NewRecorder()
			service.server.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			for _, series := range append(c.want, `storagesrv_truncated_total{store="/r sftp"} 0`) {
				if !strings.Contains(w.Body.String(), series+"\n") {
					t.Errorf("metrics without %s", series)
				}
			}
		})
	}
}

// assembleBehindProxy makes a service with a recording, call-1, on an SFTP
// server behind a proxy, and in the same directory mounted.
func assembleBehindProxy(t *testing.T, content []byte, resume string) (*service, *sftptest.Proxy) {
	t.Helper()
	dir := t.TempDir()
	server, err := sftptest.Start(sftptest.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	proxy, err := sftptest.StartProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	for name, text := range map[string]string{
		"a.wav":      string(content),
		"key":        string(server.ClientKey()),
		"calls.json": `[{"call_id": "call-1", "files": [{"stop_time": "2013-10-12T16:38:56Z", "file_path": "/r/a.wav"}]}]`,
		"storagesrv.yaml": fmt.Sprintf(`{metadata: {catalog: calls.json}, storage: [
			{prefix: /r, sftp: {address: "%s", user: %s, key_file: key, host_key: "%s", resume: %s}},
			{prefix: /r, mount: {root: %s}}]}`, proxy.Addr(), server.User(), server.Fingerprint(), resume, dir),
	} {
		old := time.Now().Add(-time.Hour) // what is recorded now may still change
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := loadConfig(filepath.Join(dir, "storagesrv.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	service, err := assemble(settings, slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.close)
	return service, proxy
}

// begin asks for a recording, and returns its body when the first bytes are
// there and most are not.
func begin(t *testing.T, url string) io.Reader {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 {
		t.Fatalf("status %d", response.StatusCode)
	}
	first := make([]byte, 100_000)
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(bytes.NewReader(first), response.Body)
}
