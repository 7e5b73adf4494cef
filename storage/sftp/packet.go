package sftp

import (
	"io"
	"sync"
)

// A packet is a buffer for the answer to one READ.
type packet struct {
	data []byte // of a size that a pool keeps
	n    int    // how much of it came
}

var smallPackets, largePackets = packetPool(smallPacket), packetPool(largePacket)

func packetPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return &packet{data: make([]byte, size)} }}
}

// newPacket returns a packet for at least so many bytes.
func newPacket(size int64) *packet {
	if size <= smallPacket {
		return smallPackets.Get().(*packet)
	}
	return largePackets.Get().(*packet)
}

func (p *packet) free() {
	if len(p.data) == smallPacket {
		smallPackets.Put(p)
	} else {
		largePackets.Put(p)
	}
}

// A span is some bytes of a file.
type span struct{ offset, length int64 }

func (s span) end() int64 { return s.offset + s.length }

// read asks for a span that one packet holds. It reads into a packet of its
// own: when it is abandoned, the caller's buffer belongs to somebody else. No
// bytes and no error mean that the server says that the file ends there.
func (h *handle) read(at span) *request[*packet] {
	h.conn.load.Add(at.length)
	h.load.Add(at.length)
	return ask(h.conn, func() (*packet, error) {
		defer func() {
			h.conn.load.Add(-at.length)
			h.load.Add(-at.length)
		}()
		p := newPacket(at.length)
		var err error
		p.n, err = h.remote.ReadAt(p.data[:at.length], at.offset)
		if p.n == 0 && err != nil && err != io.EOF {
			p.free()
			return nil, err
		}
		return p, nil // an error after some bytes will be met again by the next read
	}, (*packet).free)
}
