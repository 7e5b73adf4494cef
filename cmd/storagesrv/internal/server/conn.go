package server

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// A conn is a client's connection. What net/http writes to it is held back
// when more is about to follow, so that header and body travel together; the
// kernel sends files to it.
type conn struct {
	*net.TCPConn
	raw  syscall.RawConn
	held atomic.Bool // more follows what is written

	// These belong to the goroutine that answers.
	gathers bool   // what is written is kept
	kept    []byte // until writeBody
}

func newConn(tcp *net.TCPConn) (*conn, error) {
	raw, err := tcp.SyscallConn()
	return &conn{TCPConn: tcp, raw: raw}, err
}

// hold says whether more follows what will be written. That waits for it in the
// kernel, which sends it anyway after 200 ms.
func (c *conn) hold(more bool) { c.held.Store(more) }

// push sends what is held back, and holds nothing back any more.
func (c *conn) push() {
	c.hold(false)
	c.SetNoDelay(true) // it is already: asked for again, it sends (tcp(7))
}

// gather keeps the header that net/http is about to write for writeBody.
func (c *conn) gather() { c.gathers = true }

// writeBody writes what was gathered and p in one system call, and returns how
// much of p was written. net/http is to be told by way of [passed].
func (c *conn) writeBody(p []byte) (int, error) {
	header := len(c.kept)
	both := net.Buffers{c.kept, p}
	n, err := both.WriteTo(c.TCPConn)
	c.gathers, c.kept = false, c.kept[:0]
	return max(0, int(n)-header), err
}

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.gathers {
		c.kept = append(c.kept, p...)
		return len(p), nil
	}
	if c.held.Load() {
		return c.writeMore(p)
	}
	return c.TCPConn.Write(p)
}

// sendFileByNet has the kernel send n bytes of file as package net does it.
func (c *conn) sendFileByNet(file *os.File, offset, n int64) (int64, error) {
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return c.TCPConn.ReadFrom(&io.LimitedReader{R: file, N: n})
}

// passed is how many bytes of a body went past net/http. It is copied to a
// ResponseWriter, whose header must have been flushed, to be counted there.
type passed int64

// Read implements [io.Reader]: there is nothing left to write.
func (passed) Read([]byte) (int, error) { return 0, io.EOF }

// ReadFrom implements [io.ReaderFrom], which net/http uses where it can.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	if n, ok := r.(passed); ok {
		return int64(n), nil
	}
	return c.TCPConn.ReadFrom(r)
}

type connKey struct{}

// ConnContext is the hook of an http.Server by which streams know their
// connection, if it is one of [Listen]'s: the kernel sends files to it, and they
// are freed from a dead mount.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// connOf returns nil where the connection is not known.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}
