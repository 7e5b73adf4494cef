package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"storagesrv/storage"
)

func writeTo(path string, flag int, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|flag, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// What is not the kernel's to send is read by hand, and cut all the same when it
// becomes another: whatever is sent whole is of one version.
func TestAFileThatIsRewrittenWhileItIsReadByHandIsCut(t *testing.T) {
	content, other := noisy(long, 1), noisy(long, 2)
	for way, c := range map[string]struct {
		client func(r *rig)
		header http.Header
	}{
		"HTTP/2":         {(*rig).overTLS, nil},
		"TLS":            {(*rig).overTLS1, nil},
		"several ranges": {func(*rig) {}, header("Range", "bytes=0-8999999,1-8999999")},
	} {
		for how, change := range map[string][]byte{"rewritten": other, "longer": append(other, 1, 2)} {
			t.Run(way+", "+how, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, rigConfig{})
				r.call("call-1", r.file("a.wav", content))
				c.client(r)
				request, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/recordings/call-1", nil)
				if err != nil {
					t.Fatal(err)
				}
				request.Header = c.header
				response, err := r.client.Do(request)
				if err != nil || response.StatusCode >= 300 {
					t.Fatal(response, err)
				}
				defer response.Body.Close()
				first := make([]byte, 100_000)
				if _, err := io.ReadFull(response.Body, first); err != nil {
					t.Fatal(err)
				}
				if err := writeTo(filepath.Join(r.dir, "a.wav"), 0, change); err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(response.Body)
				if err == nil {
					t.Errorf("a whole body of %d bytes", len(first)+len(rest))
				}
				if c.header == nil && !bytes.HasPrefix(content, first) {
					t.Error("it does not begin as it should")
				}
			})
		}
	}
}

// A buggyStore opens files that can be proved, and not be read.
type buggyStore struct{ storage.Store }

type buggyFile struct{ storage.File }

func (s buggyStore) Open(ctx context.Context, name string) (storage.File, error) {
	file, err := s.Store.Open(ctx, name)
	return buggyFile{file}, err
}

func (buggyFile) Read([]byte) (int, error) { panic("a bug of the store") }

// Of several ranges, it is on another goroutine that the store is read.
func TestAStoreThatPanicsEndsItsOwnResponseAlone(t *testing.T) {
	r := newRig(t, rigConfig{})
	r.call("call-1", r.file("a.wav", wav(100_000)))
	entry := mountedAt(t, prefix, prefix+" mount", r.dir)
	entry.Store = buggyStore{entry.Store}
	r.reroute(entry)
	for _, ranges := range []string{"bytes=0-9", "bytes=0-9,20-29"} {
		got := r.do("GET", "/recordings/call-1", header("Range", ranges))
		if got.err == nil && got.status < 500 {
			t.Errorf("%s: %d, %d bytes", ranges, got.status, len(got.body))
		}
	}
	await(t, "both in the log", func() bool { return strings.Count(r.log.String(), "a bug of the store") >= 2 })
}
