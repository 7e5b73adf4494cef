package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// writeMore writes p, and tells the kernel that more follows.
func (c *conn) writeMore(p []byte) (n int, err error) {
	waitErr := c.raw.Write(func(fd uintptr) bool {
		for n < len(p) && err == nil {
			var m int
			m, err = unix.SendmsgN(int(fd), p[n:], nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			switch err {
			case nil:
				n += m
			case unix.EAGAIN:
				err = nil
				return false
			case unix.EINTR:
				err = nil
			}
		}
		return true
	})
	if waitErr != nil {
		return n, waitErr
	}
	return n, os.NewSyscallError("sendmsg", err)
}

// sendFile has the kernel send n bytes of file from offset on, fewer only if it
// has no more, or with an error. Nothing is held in memory while it waits for a
// slow client. net/http is to be told by way of [passed].
func (c *conn) sendFile(file *os.File, offset, n int64) (sent int64, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var waitErr error
	if err := raw.Control(func(in uintptr) {
		waitErr = c.raw.Write(func(out uintptr) (done bool) {
			sent, err, done = sendSome(int(out), int(in), &offset, sent, n)
			return done
		})
	}); err != nil {
		return 0, err
	}
	switch {
	case waitErr != nil:
		return sent, waitErr
	case sent == 0 && (err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP):
		return c.sendFileByNet(file, offset, n) // a file system without it
	}
	return sent, os.NewSyscallError("sendfile", err)
}

// sendSome sends until n bytes are sent, the file ends, or the client has to be
// waited for: then it is not done.
func sendSome(out, in int, offset *int64, sent, n int64) (int64, error, bool) {
	for sent < n {
		m, err := unix.Sendfile(out, in, offset, int(n-sent))
		switch {
		case m > 0:
			sent += int64(m)
		case err == unix.EAGAIN:
			return sent, nil, false
		case err == unix.EINTR:
		default: // an error, or the end
			return sent, err, true
		}
	}
	return sent, nil, true
}
