package sftp

import (
	"sync/atomic"
	"time"

	"storagesrv/storage"
)

// A prime is a read that goes with the opening of a file, before anybody asks
// for it: a recording is proved by its first bytes, and who opens it may have
// said what will be read next.
type prime struct {
	span
	handle  *handle
	request *request[*packet]
	gone    atomic.Bool // taken or abandoned
}

func newPrime(h *handle, at span) *prime { return &prime{span: at, handle: h, request: h.read(at)} }

// take makes the request the caller's, unless somebody has it.
func (p *prime) take() bool { return p.gone.CompareAndSwap(false, true) }

func (p *prime) abandon() {
	if p.take() {
		p.request.abandon()
	}
}

// primedFor is how long a prime waits to be asked for.
const primedFor = 2 * time.Second

// primedMost bounds what is read ahead of knowing how a file is read.
const primedMost = 64 << 10

// firstReads are the spans to read with an opening.
func firstReads(h storage.Hint) []span {
	spans := []span{{0, smallPacket}}
	length := min(h.Length, primedMost)
	for at := h.Offset - h.Offset%smallPacket; h.Offset >= 0 && length > 0 && at < h.Offset+length; at += smallPacket {
		if at > 0 {
			spans = append(spans, span{at, smallPacket})
		}
	}
	return spans
}

// fetchPrimed returns what came of the prime of a span, or nil.
func (f *File) fetchPrimed(at span) *packet {
	p := f.takePrime(at)
	if p == nil {
		return nil
	}
	got, err := f.finish(&reading{span: at, handle: p.handle, packet: p.request})
	if err != nil {
		return nil
	}
	if int64(got.n) < at.length {
		got.free()
		return nil
	}
	return got
}

// takePrime returns the prime of a span, or nil. Its request is the caller's.
func (f *File) takePrime(at span) *prime {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.primed {
		if p.offset == at.offset && at.length <= p.length && p.take() {
			f.primed = append(f.primed[:i:i], f.primed[i+1:]...)
			return p
		}
	}
	return nil
}

// dropPrimed gives up what nobody asked for.
func (f *File) dropPrimed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.primed {
		p.abandon()
	}
	f.primed = nil
}
