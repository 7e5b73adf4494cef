//go:build unix

package mount

import "syscall"

// nonblock makes open(2) return at once where it would wait, as for a FIFO.
const nonblock = syscall.O_NONBLOCK
