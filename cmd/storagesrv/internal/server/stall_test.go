package server_test

import (
	"bytes"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/server"
	"storagesrv/storage"
	"storagesrv/storage/sftp"
)

// What the storage takes its time for is not held against the client.
func TestAnOutageLongerThanTheStallTimeoutCutsNobody(t *testing.T) {
	t.Parallel()
	const stall = 8 * time.Second // in which a busy machine makes the client run
	content := noisy(streamed, 1)
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rigConfig{ttl: cached, stall: stall})
			sshd, root := inThisProcess(t, r.dir)
			s := newStack(t, sshd, stackConfig{
				ahead: 1 << 20, cache: storage.CacheConfig{Memory: 1 << 20},
				sftp: sftp.Config{Root: root, Timeout: patient},
			})
			r.reroute(s.entry)
			r.call("call-1", r.file("a.wav", content))
			public := httptest.NewUnstartedServer(r.server)
			public.Config.ConnContext = server.ConnContext
			public.EnableHTTP2 = protocol == "h2"
			public.StartTLS()
			defer public.Close()
			response, err := public.Client().Get(public.URL + "/recordings/call-1")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got := make([]byte, 2<<20)
			if _, err := io.ReadFull(response.Body, got); err != nil {
				t.Fatal(err)
			}
			s.proxy.Freeze(true)
			over := time.AfterFunc(stall+stall/4, func() { s.proxy.Freeze(false) })
			defer over.Stop()
			rest, err := io.ReadAll(response.Body)
			if got = append(got, rest...); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes of %d, %v\n%s", response.Proto, len(got), len(content), err, r.log)
			}
		})
	}
}
