package server_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp/sftptest"
)

// Each benchmark runs on a mount, over an SFTP server in this process, and
// against the floor: http.ServeFile of the same file, which resolves nothing,
// proves nothing, and logs nothing.

func BenchmarkWhole(b *testing.B) { bench(b, func(int) string { return "" }) }

func BenchmarkRange64K(b *testing.B) {
	bench(b, func(size int) string {
		from := rand.IntN(size - 64<<10)
		return "bytes=" + strconv.Itoa(from) + "-" + strconv.Itoa(from+64<<10-1)
	})
}

// overSlowSFTP is overSFTP with a round trip of 10 ms.
func overSlowSFTP(t testing.TB, dir string) (storage.Store, string) {
	store, sshd := startSFTP(t, dir, patient)
	sshd.Set(sftptest.Faults{Latency: 10 * time.Millisecond})
	return store, "sftp"
}

func bench(b *testing.B, ranges func(size int) string) {
	content := wav(5_000_000)
	run := func(b *testing.B, r *rig, url string) {
		b.ReportAllocs()
		for b.Loop() {
			request, err := http.NewRequest("GET", url, nil)
			if err != nil {
				b.Fatal(err)
			}
			if value := ranges(len(content)); value != "" {
				request.Header.Set("Range", value)
			}
			response, err := r.client.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if err != nil || n != response.ContentLength {
				b.Fatal(n, err)
			}
			b.SetBytes(n)
		}
	}
	stores := map[string]makeStore{"mount": mounted, "sftp": overSFTP, "sftp-10ms": overSlowSFTP}
	for kind, store := range stores {
		b.Run(kind, func(b *testing.B) {
			r := newRig(b, rigConfig{store: store, ttl: cached})
			r.call("call-1", r.file("a.wav", content))
			run(b, r, r.url+"/recordings/call-1")
		})
	}
	b.Run("floor", func(b *testing.B) {
		r := newRig(b, rigConfig{})
		r.file("a.wav", content)
		run(b, r, serve(b, http.FileServer(http.Dir(r.dir)))+"/a.wav")
	})
}
