package sftp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// A session is one SFTP session on a connection. What is read over it shares the
// window of an SSH channel, which is 2 MiB in x/crypto: over a distant server a
// connection carries as many windows a round trip as it has sessions.
type session struct {
	*conn
	sftp *sftp.Client
	tap  *tap
	load atomic.Int64 // bytes that were asked for and have not come
}

// newSession starts a session.
func (c *conn) newSession() (*session, error) {
	channel, err := c.openSFTP()
	if err != nil {
		return nil, err
	}
	s := &session{conn: c, tap: newTap(channel)}
	// pkg/sftp reads the length of a packet first, and x/crypto gives back the
	// window of each read in a message of its own.
	const ahead = 4 << 10
	if s.sftp, err = sftp.NewClientPipe(bufio.NewReaderSize(channel, ahead), s.tap, sftp.MaxPacketUnchecked(largePacket)); err != nil {
		channel.Close()
		return nil, err
	}
	return s, nil
}

// attend ends the connection when the session ends.
func (s *session) attend() { s.sever(fmt.Errorf("the session ended: %w", s.sftp.Wait())) }

// widen starts a second session in the background, once. A server that allows no
// more than one, or ends it at once, costs nothing else.
func (c *conn) widen() {
	if c.widened.Swap(true) {
		return
	}
	c.spawn(func() {
		second, err := c.newSession() // nobody waits for it; it ends with c at the latest
		if err != nil {
			return
		}
		c.second.Store(second)
		second.attend()
	})
}

// openSFTP opens a session channel with the SFTP subsystem.
func (c *conn) openSFTP() (ssh.Channel, error) {
	channel, requests, err := c.ssh.OpenChannel("session", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSession, err)
	}
	c.spawn(func() { ssh.DiscardRequests(requests) })
	c.spawn(func() { io.Copy(io.Discard, channel.Stderr()) }) // unread, it would fill the channel's window
	switch ok, err := channel.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"})); {
	case err != nil:
		return nil, err
	case !ok:
		channel.Close()
		return nil, errNoSubsystem
	}
	return channel, nil
}

var (
	// errNoSubsystem says that the server knows us and offers no SFTP.
	errNoSubsystem = errors.New("the server refuses us the sftp subsystem")

	// errNoSession says that it closed the connection, or allows no session.
	errNoSession = errors.New("after the login, which its log may explain (OpenSSH wants a ChrootDirectory and all above it to be root's)")
)
