package sftp

import (
	"encoding/binary"
	"io"
	"sync"
)

// A tap tells when certain requests have gone out. OpenSSH answers in order,
// and hangs in an open of a FIFO: what is asked about a path has to go before
// its open, which pkg/sftp, where each caller waits on its own goroutine,
// leaves to chance.
type tap struct {
	io.WriteCloser

	mu      sync.Mutex
	awaited map[string][]*departure // guarded by mu: by question
}

// A departure is of several questions, to be sent by whomever.
type departure struct {
	left int           // how many are not sent; guarded by the tap's mu
	done chan struct{} // closed when none is left
}

func newTap(w io.WriteCloser) *tap {
	return &tap{WriteCloser: w, awaited: make(map[string][]*departure)}
}

// The requests that ask about a path, as in draft-ietf-secsh-filexfer-02,
// section 3.
const (
	fxpLstat    = 7
	fxpRealpath = 16
	fxpStat     = 17
)

// question is the kind of a request and the path that it asks about.
func question(kind byte, path string) string { return string(kind) + path }

// await returns a channel that is closed when all questions have been sent
// from now on. It is to be followed by a forget of the same questions.
func (t *tap) await(questions []string) <-chan struct{} {
	d := &departure{left: len(questions), done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range questions {
		t.awaited[q] = append(t.awaited[q], d)
	}
	return d.done
}

// forget counts as sent what is still awaited of questions. Others may wait
// for the same: they lose no more than the order.
func (t *tap) forget(questions []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range questions {
		t.settle(q)
	}
}

// Write implements [io.Writer]. pkg/sftp writes the whole of such a request at
// once: length, type, id, length of the path, path.
func (t *tap) Write(p []byte) (int, error) {
	const kind, pathLength, path = 4, 4 + 1 + 4, 4 + 1 + 4 + 4
	n, err := t.WriteCloser.Write(p)
	if err != nil || len(p) < path || int(binary.BigEndian.Uint32(p[pathLength:])) != len(p)-path {
		return n, err
	}
	switch p[kind] {
	case fxpLstat, fxpStat, fxpRealpath:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.settle(question(p[kind], string(p[path:])))
	}
	return n, nil
}

// settle is called with t.mu held.
func (t *tap) settle(q string) {
	for _, d := range t.awaited[q] {
		if d.left--; d.left == 0 {
			close(d.done)
		}
	}
	delete(t.awaited, q)
}
