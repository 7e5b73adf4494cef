//go:build integration

package server_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"storagesrv/storage/sftp/sftptest"
)

// slowOutages take some seconds each.
var slowOutages = []outageCase{
	{name: "silence while idle", begin: func(o *outage) { o.proxy.Forget() }, idle: true, forgotten: true},
	{name: "silence in mid-stream", begin: func(o *outage) { o.proxy.Forget() }, forgotten: true},
	{name: "network frozen", begin: frozen, over: func(o *outage) { o.proxy.Freeze(false) }},
	{name: "file truncated", begin: truncated, over: (*outage).reachable, cause: changed},
	{name: "file removed", begin: removed, over: (*outage).reachable, cause: changed},
	{name: "sessions killed", begin: func(o *outage) { o.must(o.sshd().KillSessions()) }},
	{name: "server stopped", begin: stopped, over: func(o *outage) { o.must(o.sshd().Cont()) }},
	{name: "server down for 10 s", begin: down, over: (*outage).reachable},
	{name: "host key changed", begin: func(o *outage) { o.must(o.sshd().Restart(true)) }, over: afterAll(func(o *outage) { o.trust() }), cause: "host key"},
}

func (o *outage) sshd() *sftptest.OpenSSH { return o.stack.server.(*sftptest.OpenSSH) }

func (o *outage) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func truncated(o *outage) {
	o.cutOff()
	o.each(func(path string) error {
		return errors.Join(os.Truncate(path, 600_000), os.Chtimes(path, longAgo, longAgo))
	})
}

func removed(o *outage) {
	o.cutOff()
	o.each(os.Remove)
}

func frozen(o *outage) {
	o.proxy.Freeze(true)
	o.awaitGivenUp()
}

func stopped(o *outage) {
	o.must(o.sshd().Stop())
	o.awaitGivenUp()
}

// awaitGivenUp waits until the store has found all its connections dead.
func (o *outage) awaitGivenUp() {
	o.t.Helper()
	await(o.t, "the connections to be given up", func() bool { return o.sftp.Connections() == 0 })
}

func down(o *outage) {
	o.proxy.Refuse(true)
	o.must(o.sshd().KillSessions())
	time.Sleep(10 * time.Second)
}

// byOpenSSH starts a real server of the whole machine.
func byOpenSSH(t testing.TB, dir string) (sshServer, string) {
	t.Helper()
	server, err := sftptest.StartOpenSSH(sftptest.OpenSSHConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, dir
}

func TestOutagesOfOpenSSH(t *testing.T) {
	for _, c := range append(slowOutages, quickOutages...) {
		t.Run(c.name, func(t *testing.T) {
			newOutage(t, 64, 5<<20, byOpenSSH, c).run()
		})
	}
}

func TestAConnectionThatIsCutAnywhereIsReplaced(t *testing.T) {
	server, _ := byOpenSSH(t, "")
	start := func(_ testing.TB, dir string) (sshServer, string) { return server, dir }
	resumes := int64(0)
	// Early means in a handshake or an open, and else it is in the recordings. Both
	// ranges have as many parts as there are tries.
	const tries = 20
	for i := range int64(tries) {
		early, late := int64(1)<<i, i*(2<<20)/tries
		for _, n := range []int64{early + rand.Int64N(early), late + rand.Int64N(2<<20/tries)} {
			t.Run(fmt.Sprint("after ", n), func(t *testing.T) {
				o := newOutage(t, 4, 512<<10, start, outageCase{begin: func(o *outage) { o.proxy.CutAfter(n) }, idle: true})
				o.run()
				resumes += o.resumes.Load()
			})
		}
	}
	if t.Logf("%d files went on", resumes); resumes < tries {
		t.Error("few were cut in mid-stream")
	}
}

// A dial to a server that is frozen takes a time-out, again and again.
func TestAFirstStoreThatIsDownDelaysNobodyOnceThatIsKnown(t *testing.T) {
	content := noisy(200_000, 1)
	config := hasty
	config.sftp.Timeout = 4 * time.Second
	f := newFailover(t, "sftp", config)
	f.call("call-1", f.both("a.wav", content))
	f.awaitPlays("/recordings/call-1", content)
	f.first.proxy.Freeze(true)
	await(t, "the first store to be known as down", func() bool {
		f.wantPlays("/recordings/call-1", content)
		return !f.first.sftp.Health().Up
	})
	for before := f.first.dials.Load(); f.first.dials.Load() < before+2; {
		start := time.Now()
		f.wantPlays("/recordings/call-1", content)
		if took := time.Since(start); took > config.sftp.Timeout/2 {
			t.Fatalf("took %v", took)
		}
	}
	f.first.proxy.Freeze(false)
	await(t, "the first store to serve again", func() bool { return f.logged(f.get("/recordings/call-1"))["store"] == f.first.entry.Label })
}
