//go:build linux

package mounttest

import (
	"path"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// faultyFiles answers the kernel from a file system, after the faults.
type faultyFiles struct {
	fuse.RawFileSystem
	faulty *Faulty

	mu    sync.Mutex
	paths map[uint64]string // guarded by mu: of the nodes that the kernel knows
}

func newFaultyFiles(f *Faulty, files fuse.RawFileSystem) *faultyFiles {
	return &faultyFiles{RawFileSystem: files, faulty: f, paths: map[uint64]string{fuse.FUSE_ROOT_ID: "."}}
}

func (f *faultyFiles) path(node uint64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths[node]
}

// meet lets the faults happen to a call and returns what is to be answered.
func (f *faultyFiles) meet(op Op, path string) fuse.Status {
	return fuse.Status(f.faulty.meet(Call{op, path}, span{}).Err)
}

func (f *faultyFiles) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	name = path.Join(f.path(in.NodeId), name)
	if status := f.meet(Lookup, name); !status.Ok() {
		return status
	}
	status := f.RawFileSystem.Lookup(cancel, in, path.Base(name), out)
	if status.Ok() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.paths[out.NodeId] = name
	}
	return status
}

func (f *faultyFiles) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if status := f.meet(Getattr, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	return f.RawFileSystem.GetAttr(cancel, in, out)
}

func (f *faultyFiles) Statx(cancel <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	if status := f.meet(Getattr, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Statx(cancel, in, out)
}

func (f *faultyFiles) Readlink(cancel <-chan struct{}, in *fuse.InHeader) ([]byte, fuse.Status) {
	if status := f.meet(Readlink, f.path(in.NodeId)); !status.Ok() {
		return nil, status
	}
	return f.RawFileSystem.Readlink(cancel, in)
}

func (f *faultyFiles) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if status := f.meet(Open, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	status := f.RawFileSystem.Open(cancel, in, out)
	if !f.faulty.config.PageCache {
		out.OpenFlags |= fuse.FOPEN_DIRECT_IO
	}
	return status
}

func (f *faultyFiles) Read(cancel <-chan struct{}, in *fuse.ReadIn, buffer []byte) (fuse.ReadResult, fuse.Status) {
	begin := int64(in.Offset)
	fault := f.faulty.meet(Call{Read, f.path(in.NodeId)}, span{begin, begin + int64(in.Size)})
	if fault.Err != 0 {
		return nil, fuse.Status(fault.Err)
	}
	if fault.Short {
		in.Size = uint32(max(0, fault.Offset-int64(in.Offset)))
	}
	if in.Size == 0 {
		return fuse.ReadResultData(nil), fuse.OK
	}
	return f.RawFileSystem.Read(cancel, in, buffer[:in.Size])
}

func (f *faultyFiles) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	if status := f.meet(Flush, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Flush(cancel, in)
}

func (f *faultyFiles) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if status := f.meet(Opendir, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	return f.RawFileSystem.OpenDir(cancel, in, out)
}

func (f *faultyFiles) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if status := f.meet(Readdir, f.path(in.NodeId)); !status.Ok() {
		return status
	}
	return f.RawFileSystem.ReadDir(cancel, in, out)
}

func (f *faultyFiles) StatFs(cancel <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	if status := f.meet(Statfs, "."); !status.Ok() {
		return status
	}
	return f.RawFileSystem.StatFs(cancel, in, out)
}
