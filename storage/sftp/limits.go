package sftp

import (
	"encoding/binary"
	"errors"
	"io"
)

const (
	// smallPacket is how much every server must be able to answer to one READ
	// (draft-ietf-secsh-filexfer-02, section 3).
	smallPacket = 32 << 10

	// largePacket is what OpenSSH answers: 256 KiB less what it keeps for
	// headers (sftp-client.h, SFTP_MAX_READ_LENGTH). pkg/sftp takes no more.
	largePacket = 255 << 10
)

// learnLimits asks how large a READ may be, in OpenSSH's extension "limits"
// (its file PROTOCOL, section 4.8). pkg/sftp cannot ask, so it is done on a
// channel of its own. A server that says nothing gets small packets: to one
// that answers short, each large READ would cost many round trips.
func (c *conn) learnLimits() {
	if _, ok := c.first.sftp.HasExtension("limits@openssh.com"); !ok {
		return
	}
	channel, err := c.openSFTP()
	if err != nil {
		return // as from a server that allows one session a connection
	}
	defer channel.Close()
	if largest, err := askLimits(channel); err == nil {
		c.largest.Store(min(max(largest, smallPacket), largePacket))
	}
}

// The packets of a session that asks for limits.
const (
	fxpInit          = 1
	fxpVersion       = 2
	fxpExtended      = 200
	fxpExtendedReply = 201
)

// askLimits returns the largest READ that the server answers in full.
func askLimits(session io.ReadWriter) (int64, error) {
	if err := writePacket(session, fxpInit, 3); err != nil {
		return 0, err
	}
	if _, err := readPacket(session, fxpVersion); err != nil {
		return 0, err
	}
	const id, name = 1, "limits@openssh.com"
	body := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	if err := writePacket(session, fxpExtended, id, append(body, name...)...); err != nil {
		return 0, err
	}
	reply, err := readPacket(session, fxpExtendedReply)
	const read = 4 + 8 // behind the id and the largest packet
	if err != nil || len(reply) < read+8 || binary.BigEndian.Uint32(reply) != id {
		return 0, errors.Join(errMalformed, err)
	}
	return int64(binary.BigEndian.Uint64(reply[read:]) & (1<<62 - 1)), nil
}

// writePacket writes an SFTP packet: a type, a version or id, and more.
func writePacket(w io.Writer, kind byte, number uint32, more ...byte) error {
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+4+len(more)))
	packet = binary.BigEndian.AppendUint32(append(packet, kind), number)
	_, err := w.Write(append(packet, more...))
	return err
}

// readPacket reads an SFTP packet and returns what follows its type.
func readPacket(r io.Reader, kind byte) ([]byte, error) {
	const most = 64 << 10
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if head[4] != kind || length < 1 || length > most {
		return nil, errMalformed
	}
	body := make([]byte, length-1)
	_, err := io.ReadFull(r, body)
	return body, err
}
