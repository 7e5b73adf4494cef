package mount

// A kind is what sort of file system a directory is on.
type kind int

const (
	unknown kind = iota // not looked at yet: treated as remote
	remote              // NFS, FUSE, SMB and the like: system calls may hang, and what is known may be old
	local               // a disk of this machine: system calls return, and tell what is so now
)
