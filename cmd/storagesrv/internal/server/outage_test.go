package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
	"storagesrv/storage/sftp"
	"storagesrv/storage/storagetest"
)

// An outageCase is what happens to a store while many listen.
type outageCase struct {
	name  string
	begin func(o *outage)
	over  func(o *outage) // what ends it, if it does not end by itself
	idle  bool            // it begins before anybody listens
	// cause is in the log of each body that is cut. Without one nobody notices
	// anything, but that it takes longer.
	cause string
	// forgotten says that the server is not told of connections that have ended.
	forgotten bool
	resume    time.Duration // if it is not that of outageConfig
}

// An outage is a rig with many listeners of recordings on an SFTP server, and
// one of another store in the same process.
type outage struct {
	*rig
	*stack
	outageCase
	t         testing.TB
	listeners int
	size      int // of each recording
	versions  map[version][]byte
	fresh     []byte // of what was not asked for before, so that its ETag is not known

	begun  chan struct{} // closed when the fault has begun
	fast   atomic.Int64  // bytes that those have who read at full speed
	midway atomic.Int64  // how many of the slow ones are in mid-stream
}

// A version of a recording is what a client can tell from others.
type version struct{ id, etag string }

func (a answer) version(id string) version { return version{id, a.header.Get("ETag")} }

// recordings is how many there are. A further one, fresh, is not listened to.
const recordings = 4

func newOutage(t testing.TB, listeners, size int, start startSSH, c outageCase) *outage {
	t.Helper()
	storagetest.LeaksNothing(t)
	r := newRig(t, rigConfig{ttl: cached})
	o := &outage{rig: r, outageCase: c, t: t, listeners: listeners, size: size, versions: make(map[version][]byte), begun: make(chan struct{})}
	// So little is read ahead and kept that those who lag behind must ask.
	server, root := start(t, r.dir)
	config := outageConfig
	config.Root = root
	if c.resume > 0 {
		config.Resume = c.resume
	}
	o.stack = newStack(t, server, stackConfig{sftp: config, ahead: 2 << 20, cache: storage.CacheConfig{Memory: 2 << 20, Revalidate: time.Second}})

	other := realDir(t)
	if err := os.WriteFile(filepath.Join(other, "a.wav"), wav(32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reroute(o.entry, mountedAt(t, "/var/other", "/var/other mount", other))
	r.call("other", "/var/other/a.wav")
	o.fresh = noisy(size, recordings)
	r.call("fresh", r.file("fresh.wav", o.fresh))
	for i := range recordings {
		content := noisy(size, byte(i))
		r.call(call(i), r.file(file(i), content))
		got := r.do("HEAD", "/recordings/"+call(i), nil)
		if got.status != 200 {
			t.Fatalf("HEAD %s: status %d\n%s", call(i), got.status, r.log)
		}
		o.versions[got.version(call(i))] = content
	}
	return o
}

func call(i int) string { return fmt.Sprint("call-", i) }
func file(i int) string { return fmt.Sprintf("%d.wav", i) }

// each does something to the file of each recording that is listened to.
func (o *outage) each(do func(path string) error) {
	o.t.Helper()
	for i := range recordings {
		if err := do(filepath.Join(o.dir, file(i))); err != nil {
			o.t.Fatal(err)
		}
	}
}

// run lets the listeners listen, the fault begin and be over, and looks at what
// everybody got.
func (o *outage) run() {
	o.t.Helper()
	bystander := o.watch()
	heard := make([]*listener, o.listeners)
	var group sync.WaitGroup
	listen := func() {
		for i := range heard {
			heard[i] = &listener{id: call(i % recordings), slow: i/recordings%2 == 1}
			group.Go(func() { o.listen(heard[i]) })
		}
	}
	if !o.idle {
		listen()
		await(o.t, "the middle of the streams", o.inMidstream)
	}
	bystander.note("during")
	o.begin(o)
	close(o.begun)
	if o.idle {
		listen()
	}
	late := &listener{id: "fresh"}
	asked := time.Now()
	o.listen(late)
	o.checkLate(late, time.Since(asked))
	if o.over != nil {
		o.over(o)
	}
	if !o.idle {
		bystander.note("after")
	}
	o.awaitRecovery()
	group.Wait()
	bystander.check(o.t)
	o.check(heard)
	o.checkLeftovers()
}

// A listener is one client, and what it got.
type listener struct {
	id   string
	slow bool

	status  int
	problem string
	got     int
	cut     error // how the body ended, if not well
	whole   bool
	wrong   string // bytes that are not of the version that was promised, or an end before its time
}

// deadline is for what a listener gets in all.
const deadline = 2 * time.Minute

// listen asks for a recording, and compares what comes with the version that
// its ETag promises.
func (o *outage) listen(l *listener) {
	ctx, cancel := context.WithTimeout(o.t.Context(), deadline)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil && l.slow {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	}}
	request, err := http.NewRequestWithContext(ctx, "GET", o.url+"/recordings/"+l.id, nil)
	if err != nil {
		l.wrong = err.Error()
		return
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		l.wrong = err.Error()
		return
	}
	defer response.Body.Close()
	if l.status = response.StatusCode; l.status != 200 {
		body, _ := io.ReadAll(response.Body)
		l.problem = string(body)
		return
	}
	promised := o.versions[version{l.id, response.Header.Get("ETag")}]
	if l.id == "fresh" {
		promised = o.fresh
	}
	o.take(ctx, l, response.Body, promised)
}

func (o *outage) take(ctx context.Context, l *listener, body io.Reader, want []byte) {
	for buffer := make([]byte, 32<<10); ; {
		n, err := body.Read(buffer)
		if n > len(want)-l.got || !bytes.Equal(buffer[:n], want[l.got:l.got+n]) {
			l.wrong = fmt.Sprint("wrong bytes from ", l.got, " on")
			return
		}
		l.got += n
		switch {
		case err == io.EOF:
			if l.whole = l.got == len(want); !l.whole {
				l.wrong = fmt.Sprint("a clean end after ", l.got)
			}
			return
		case err != nil:
			l.cut = err
			if ctx.Err() != nil {
				l.wrong = fmt.Sprint("nothing came any more after ", l.got)
			}
			return
		}
		if l.slow {
			o.linger(ctx, l.got, n)
		} else {
			o.fast.Add(int64(n))
		}
	}
}

// Between these a slow listener reads slowly; there it waits for the fault.
const (
	lingerFrom = 256 << 10
	lingerTo   = 512 << 10
)

func (o *outage) linger(ctx context.Context, got, n int) {
	if got < lingerFrom {
		return
	}
	if got-n < lingerFrom {
		o.midway.Add(1)
	}
	tick := time.After(time.Duration(n) * time.Microsecond) // 1 MB/s
	if got >= lingerTo {
		tick = nil
	}
	select {
	case <-tick:
	case <-o.begun:
	case <-ctx.Done():
	}
}

// inMidstream reports whether all slow listeners, and the fast ones on the
// average, have something and not nearly all.
func (o *outage) inMidstream() bool {
	slow := o.listeners / 2
	return o.midway.Load() >= int64(slow) && o.fast.Load() >= int64(o.listeners-slow)*int64(o.size)/8
}

// checkLate looks at what a listener got who came while the fault was there.
func (o *outage) checkLate(l *listener, took time.Duration) {
	o.t.Helper()
	switch {
	case l.wrong != "" || l.cut != nil:
		o.t.Errorf("a new listener got status %d, %s, %v", l.status, l.wrong, l.cut)
	case l.status == 200:
	case !strings.Contains(l.problem, "urn:storagesrv:problem:storage-"):
		o.t.Errorf("a new listener got status %d %s", l.status, l.problem)
	case took > 2*outageTimeout+slack:
		o.t.Errorf("a new listener was answered after %v", took)
	}
}

// outageTimeout is the stores' time-out for an answer in these tests.
const outageTimeout = 5 * time.Second

// recoverWithin is how long after the end of a fault all must be well again.
const recoverWithin = 10 * time.Second

// awaitRecovery waits until what nobody has listened to plays, and what was
// listened to, as it is now.
func (o *outage) awaitRecovery() {
	o.t.Helper()
	over := time.Now()
	await(o.t, "the store to be well again", func() bool {
		got := o.get("/recordings/fresh")
		return got.status == 200 && got.err == nil && bytes.Equal(got.body, o.fresh)
	})
	took := time.Since(over)
	if o.t.Logf("well again after %v", took); took > recoverWithin+slack {
		o.t.Error("it was not well again in time")
	}
	for i := range recordings {
		now, err := os.ReadFile(filepath.Join(o.dir, file(i)))
		got := o.get("/recordings/" + call(i))
		if errors.Is(err, os.ErrNotExist) {
			if name := got.problemName(o.t); name != "recording-missing" {
				o.t.Errorf("a removed recording is %s", name)
			}
		} else if err != nil || got.status != 200 || !bytes.Equal(got.body, now) || (o.versions[got.version(call(i))] == nil) != (o.cause == changed) {
			o.t.Errorf("%s: status %d, %d bytes, %v", call(i), got.status, len(got.body), got.err)
		}
	}
}

// check looks at what the listeners got.
func (o *outage) check(heard []*listener) {
	o.t.Helper()
	cut := 0
	for _, l := range heard {
		switch {
		case l.wrong != "" || l.status != 200:
			o.t.Errorf("listener of %s: status %d %s, %s", l.id, l.status, l.problem, l.wrong)
		case o.cause == "" && !l.whole:
			o.t.Errorf("listener of %s was cut after %d bytes: %v", l.id, l.got, l.cut)
		case o.cause != "" && l.slow && l.whole: // who reads fast may have had it all
			o.t.Errorf("listener of %s got all of what is not there any more", l.id)
		}
		if l.cut != nil {
			cut++
		}
	}
	o.checkRecords(cut)
	// Where a server falls silent, late answers are asked for elsewhere before the
	// connection counts as lost.
	if resumes := o.resumes.Load(); o.cause == "" && !o.idle && !o.forgotten && resumes == 0 {
		o.t.Errorf("%d files went on over another connection", resumes)
	}
}

// checkRecords looks at how the log and the metrics tell of the bodies that
// were cut.
func (o *outage) checkRecords(cut int) {
	o.t.Helper()
	o.t.Logf("%d of %d listeners were cut, %d files went on", cut, o.listeners, o.resumes.Load())
	await(o.t, "the end of the streams", o.silent)
	series := fmt.Sprintf("storagesrv_truncated_total{store=%q}", o.entry.Label)
	await(o.t, series, func() bool { return o.metric(series) == fmt.Sprint(cut) })
	var told []string
	for line := range strings.Lines(o.log.String()) {
		if strings.Contains(line, "the storage failed after") {
			told = append(told, line)
		}
	}
	if len(told) != cut {
		o.t.Errorf("the log tells of %d bodies that were cut, of %d", len(told), cut)
	}
	for _, line := range told {
		if !strings.Contains(line, o.cause) {
			o.t.Errorf("the cause is not %q: %s", o.cause, line)
		}
	}
}

// checkLeftovers looks at what is left when nobody listens any more.
func (o *outage) checkLeftovers() {
	o.t.Helper()
	most := 4 // connections, by default
	if n := o.sftp.Connections(); n < 1 || n > most {
		o.t.Errorf("%d connections are alive", n)
	}
	await(o.t, "what was given up to end", func() bool { return o.proxy.Connections() <= most })
	o.cache.Close()
	if o.forgotten {
		o.proxy.Close()
	}
	await(o.t, "the files to be closed on the server", func() bool { return openBelow(o.t, o.dir) == 0 })
	if err := o.sftp.Close(); err != nil {
		o.t.Error(err)
	}
	await(o.t, "the connections to end", func() bool { return o.proxy.Connections() == 0 })
}

// openBelow returns how many files below dir processes have open, where the
// system tells.
func openBelow(t testing.TB, dir string) int {
	t.Helper()
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range descriptors {
		if target, err := os.Readlink(d); err == nil && strings.HasPrefix(target, dir+"/") {
			n++
		}
	}
	return n
}

// A bystander listens to another store in the same process, and notes how long
// each answer takes.
type bystander struct {
	mu     sync.Mutex
	phase  string                     // guarded by mu
	took   map[string][]time.Duration // guarded by mu: by phase
	failed string                     // guarded by mu
	stop   func()
}

// watch lets a bystander listen to the call other, of more than 33 KB.
func (r *rig) watch() *bystander {
	b := &bystander{phase: "before", took: make(map[string][]time.Duration)}
	ctx, cancel := context.WithCancel(r.t.Context())
	var group sync.WaitGroup
	b.stop = func() { cancel(); group.Wait() }
	r.t.Cleanup(b.stop)
	group.Go(func() {
		for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; <-tick {
			start := time.Now()
			got := r.do("GET", "/recordings/other", header("Range", "bytes=1000-33999"))
			b.add(time.Since(start), got)
		}
	})
	return b
}

func (b *bystander) note(phase string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase = phase
}

func (b *bystander) add(took time.Duration, got answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took[b.phase] = append(b.took[b.phase], took)
	if got.status != 206 || len(got.body) != 33_000 {
		b.failed = fmt.Sprintf("status %d, %d bytes, %v", got.status, len(got.body), got.err)
	}
}

// check asserts that nothing was noticed of the fault. What is noticed before,
// with all listeners at full speed, is the machine.
func (b *bystander) check(t testing.TB) {
	t.Helper()
	b.stop()
	medians := make(map[string]time.Duration)
	for phase, took := range b.took {
		slices.Sort(took)
		medians[phase] = took[len(took)/2]
	}
	if during := medians["during"]; b.failed != "" || during > max(5*medians["before"], outageTimeout/4) {
		t.Errorf("another store: medians %v, %s", medians, b.failed)
	}
	t.Logf("another store answers in %v", medians)
}

func (o *outage) cutOff() {
	o.proxy.Refuse(true)
	o.proxy.Reset()
}

func (o *outage) reachable() { o.proxy.Refuse(false) }

func replaced(o *outage) {
	o.cutOff()
	o.each(func(path string) error {
		next := path + ".next"
		return errors.Join(os.WriteFile(next, noisy(o.size, 99), 0o600), os.Rename(next, path))
	})
}

// afterAll makes a fault be over when nobody listens any more.
func afterAll(over func(o *outage)) func(o *outage) {
	return func(o *outage) {
		o.t.Helper()
		await(o.t, "the streams to be cut", o.silent)
		over(o)
	}
}

// silent reports whether nobody is sent anything any more.
func (o *outage) silent() bool { return o.rig.server.Streams() == 0 }

const changed = "the file changed after it was opened"

// quickOutages take a second each at most.
var quickOutages = []outageCase{
	{name: "connection reset", begin: func(o *outage) { o.proxy.Reset() }},
	{name: "file replaced", begin: replaced, over: (*outage).reachable, cause: changed},
	{name: "server away for too long", resume: 300 * time.Millisecond, begin: (*outage).cutOff, over: afterAll((*outage).reachable), cause: "connection lost"},
}

// outageConfig is that of a store whose time-outs are short, and which has
// patience with a server that comes back.
var outageConfig = sftp.Config{Timeout: outageTimeout, Keepalive: outageTimeout / 4, Resume: 2 * time.Minute}

func TestOutages(t *testing.T) {
	for _, c := range quickOutages {
		t.Run(c.name, func(t *testing.T) {
			newOutage(t, 8, 5<<20, inThisProcess, c).run()
		})
	}
}
