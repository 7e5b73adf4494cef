//go:build !linux

package server

// writeMore holds nothing back on systems that we do not tune for.
func (c *conn) writeMore(p []byte) (int, error) { return c.TCPConn.Write(p) }
