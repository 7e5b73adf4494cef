//go:build !linux

package server

import "os"

// writeMore holds nothing back on systems that we do not tune for.
func (c *conn) writeMore(p []byte) (int, error) { return c.TCPConn.Write(p) }

// sendFile has the kernel send n bytes of file from offset on, where it can.
func (c *conn) sendFile(file *os.File, offset, n int64) (int64, error) {
	return c.sendFileByNet(file, offset, n)
}
