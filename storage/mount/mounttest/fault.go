package mounttest

import (
	"syscall"
	"time"
)

// An Op is what the kernel asks a file system for.
type Op string

// The operations that can have faults.
const (
	Lookup   Op = "lookup"   // of a name in a directory: stat and open begin with one for each component
	Getattr  Op = "getattr"  // stat and fstat
	Readlink Op = "readlink" //
	Open     Op = "open"     // of a file
	Read     Op = "read"     // of a file
	Flush    Op = "flush"    // close waits for it
	Opendir  Op = "opendir"  //
	Readdir  Op = "readdir"  //
	Statfs   Op = "statfs"   // of the mount; its path is "."
)

// A Fault is what happens to calls of the kernel. It hangs, then is late, then
// fails, as far as it says so.
type Fault struct {
	// Op is the operation that it happens to: "" means each.
	Op Op
	// Path is the file or directory, below the root, that it happens to; the
	// root is ".". "" means all.
	Path string
	// Offset is where the first byte lies whose reading meets the fault: a Read
	// that does not reach it is in order.
	Offset int64
	// Length is how many bytes from Offset on are such: 0 means all.
	Length int64
	// Times is how often it happens: 0 means always.
	Times int

	// Hang: there is no answer before [Faulty.Release], not even to a process
	// that is killed.
	Hang bool
	// Delay is how late the answer is.
	Delay time.Duration
	// Err is the error. By itself the kernel looks a name that it knew up once
	// more after any, and tries once more after ESTALE what is done by path.
	Err syscall.Errno
	// Short: a Read gets the bytes before Offset, if any, and no error. A page
	// cache that has asked for more may show zeros there.
	Short bool
}

// A Call is what the kernel asks for.
type Call struct {
	Op   Op
	Path string
}

// A span is what a Read reads.
type span struct{ begin, end int64 }

// hits reports whether the fault happens to a call, which is a read of a span.
func (f Fault) hits(call Call, read span) bool {
	return (f.Op == "" || f.Op == call.Op) && (f.Path == "" || f.Path == call.Path) &&
		(call.Op != Read || f.reaches(read)) && (!f.Short || call.Op == Read)
}

func (f Fault) reaches(read span) bool {
	return read.end > f.Offset && (f.Length == 0 || read.begin < f.Offset+f.Length)
}
