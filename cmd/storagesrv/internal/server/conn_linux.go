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
