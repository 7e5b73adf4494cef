//go:build integration && linux

package server_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"storagesrv/storage/mount/mounttest"
)

// throng is how many requests come while the mount hangs, and hanging how many
// recordings they are for.
const (
	throng  = 200
	hanging = 20
)

// hangRange is the Range of a request, if it has one: of them one gets more than
// is sent at once, two do not.
func hangRange(i int) http.Header {
	return []http.Header{nil, header("Range", "bytes=20000-199999"), header("Range", "bytes=1000-9999"), header("Range", "bytes=-5000")}[i%4]
}

func TestAMountThatHangsCostsItsOwnRequestsAlone(t *testing.T) {
	for _, op := range []mounttest.Op{mounttest.Lookup, mounttest.Getattr, mounttest.Open, mounttest.Read, ""} {
		t.Run(cmp.Or(string(op), "everything"), func(t *testing.T) {
			h := newHangRig(t, hangConfig{})
			content := wav(100_000)
			for i := range hanging {
				h.call(call(i), h.file(file(i), content))
			}
			h.awaitPlays("/recordings/"+call(0), content)
			h.awaitPlays("/recordings/other", wav(32<<10))
			bystander := h.watch()
			before := threads(t)

			start := time.Now()
			h.faulty.Set(mounttest.Fault{Op: op, Hang: true})
			bystander.note("during")
			if cut := h.throw(t); op == mounttest.Read && cut > 0 { // the header waits for the first bytes
				t.Errorf("%d bodies were begun and cut", cut)
			}
			if n := threads(t) - before; n > mostStuck+32 {
				t.Errorf("%d more threads than before", n)
			}
			await(t, "calls that count as stuck", func() bool { return h.store.Stuck() > 0 })
			h.isDown(start, "")
			bystander.note("after")

			h.faulty.Release()
			h.playsAgain(call(1), content, time.Now())
			for i := range hanging {
				h.awaitPlays("/recordings/"+call(i), content)
			}
			await(t, "nothing to be stuck", func() bool { return h.store.Stuck() == 0 })
			h.isUp()
			bystander.check(t)
		})
	}
}

// throw asks for recordings of the mount that hangs, and for what operators ask
// for meanwhile. It returns how many bodies were cut.
func (h *hangRig) throw(t *testing.T) (cut int) {
	var requests sync.WaitGroup
	answers := make([]string, throng)
	for i := range answers {
		requests.Go(func() {
			start := time.Now()
			got := h.do("GET", "/recordings/"+call(i%hanging), hangRange(i))
			if took := time.Since(start); took > hangTimeout+time.Second+hangSlack {
				t.Errorf("request %d took %v", i, took)
			}
			answers[i] = fmt.Sprint("served ", got.status)
			if got.status >= 300 {
				answers[i] = got.problemName(t)
			} else if got.err != nil {
				answers[i] = "cut"
			}
		})
	}
	done := make(chan struct{})
	go func() { requests.Wait(); close(done) }()
	h.operates(t, done)

	counts := make(map[string]int)
	for _, answer := range answers {
		counts[answer]++
	}
	t.Log(counts)
	// Who was served before has a file that is open, of a verdict that is known.
	refused := counts["storage-timeout"] + counts["storage-unavailable"]
	if others := throng - refused - counts["cut"] - counts["served 200"] - counts["served 206"]; others > 0 || refused < throng*3/4 {
		t.Errorf("answers: %v", counts)
	}
	return counts["cut"]
}

// operates asks for what operators ask for until done, and asserts that it comes
// promptly.
func (h *hangRig) operates(t *testing.T, done <-chan struct{}) {
	var took []time.Duration
	for tick := time.Tick(10 * time.Millisecond); ; <-tick {
		for path, want := range map[string]string{"/livez": "", "/metrics": "storagesrv_streams"} {
			start := time.Now()
			if got := h.doURL("GET", h.admin+path, nil); got.status != 200 || !strings.Contains(string(got.body), want) {
				t.Errorf("%s: %d, %v", path, got.status, got.err)
			}
			took = append(took, time.Since(start))
		}
		select {
		case <-done:
			slices.Sort(took)
			if median := took[len(took)/2]; median > hangTimeout/8 {
				t.Errorf("/livez and /metrics take %v, %v at most", median, took[len(took)-1])
			}
			return
		default:
		}
	}
}

// BenchmarkAnotherStore is what is got from a store, by two listeners, while
// nobody else asks for anything, and while many ask for what hangs in another.
func BenchmarkAnotherStore(b *testing.B) {
	for name, fault := range map[string][]mounttest.Fault{"well": nil, "hanging": {{Hang: true}}} {
		b.Run(name, func(b *testing.B) {
			h := newHangRig(b, hangConfig{})
			for i := range hanging {
				h.call(call(i), h.file(file(i), wav(100_000)))
			}
			h.awaitPlays("/recordings/other", wav(32<<10))
			h.faulty.Set(fault...)
			stop := make(chan struct{})
			var others sync.WaitGroup
			if fault != nil {
				for i := range throng {
					others.Go(func() {
						for {
							h.do("GET", "/recordings/"+call(i%hanging), nil)
							select {
							case <-stop:
								return
							case <-time.After(time.Second):
							}
						}
					})
				}
			}
			b.SetParallelism(1)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if got := h.get("/recordings/other"); got.status != 200 {
						b.Errorf("%d, %v", got.status, got.err)
					}
				}
			})
			b.StopTimer()
			close(stop)
			others.Wait()
			h.faulty.Release()
		})
	}
}
