//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// A recording is a file on the SFTP server.
type recording struct {
	path string // below the root, such as many/07.wav
	data []byte // what is in it; mapped
}

// id is the recording's call id.
func (c recording) id() string {
	return strings.ReplaceAll(strings.TrimSuffix(c.path, ".wav"), "/", "-")
}

// verify compares all of p with the recording's bytes from at on.
func (c recording) verify(p []byte, at int64) error {
	end := at + int64(len(p))
	if end > int64(len(c.data)) || !bytes.Equal(p, c.data[at:end]) {
		return fmt.Errorf("%s: wrong bytes between %d and %d", c.path, at, end)
	}
	return nil
}

// spotCheck is verify for both ends of p. All of it would cost three percent
// of what a fast stream takes, which OpenSSH's sftp does not pay.
func (c recording) spotCheck(p []byte, at int64) error {
	const spot = 512
	if len(p) <= 2*spot {
		return c.verify(p, at)
	}
	last := len(p) - spot
	return errors.Join(c.verify(p[:spot], at), c.verify(p[last:], at+int64(last)))
}

// mapFile returns what is in a file, without a copy. It stays mapped until
// the program ends.
func mapFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}
