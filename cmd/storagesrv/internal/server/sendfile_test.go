package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"testing"

	"storagesrv/storage"
	"storagesrv/storage/mount"
)

// A countedStore counts the bytes of a mount's files that are read by hand.
type countedStore struct {
	storage.Store
	read *atomic.Int64
}

func (s countedStore) Open(ctx context.Context, name string) (storage.File, error) {
	file, err := s.Store.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return countedFile{file.(*mount.File), s.read}, nil
}

type countedFile struct {
	*mount.File
	read *atomic.Int64
}

func (f countedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.read.Add(int64(n))
	return n, err
}

func (f countedFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	f.read.Add(int64(n))
	return n, err
}

func TestAMountedFileReachesTheKernel(t *testing.T) {
	var read atomic.Int64
	r := newRig(t, rigConfig{store: func(t testing.TB, dir string) (storage.Store, string) {
		store, kind := mounted(t, dir)
		return countedStore{store, &read}, kind
	}})
	content := wav(500_000)
	r.call("call-1", r.file("a.wav", content))
	r.do("GET", "/recordings/call-1", header("Range", "bytes=0-1")) // proves it
	for _, h := range []http.Header{nil, header("Range", "bytes=100000-900000"), header("Range", "bytes=5-80000")} {
		read.Store(0)
		got := r.do("GET", "/recordings/call-1", h)
		if got.err != nil || len(got.body) < 79_000 || !bytes.Contains(content, got.body) {
			t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.err)
		}
		if n := read.Load(); n > 4<<10 {
			t.Errorf("%v: %d of %d bytes were copied by hand, and not sent by the kernel", h, n, len(got.body))
		}
	}
}

// What follows an answer that the kernel sent is the next one.
func TestAConnectionIsKeptAfterTheKernelSent(t *testing.T) {
	r := newRig(t, rigConfig{})
	content := wav(500_000)
	r.call("call-1", r.file("a.wav", content))
	conns := 0
	trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			conns++
		}
	}})
	for range 5 {
		request, err := http.NewRequestWithContext(trace, "GET", r.url+"/recordings/call-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := r.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if conns != 1 {
		t.Errorf("5 answers took %d connections", conns)
	}
}
