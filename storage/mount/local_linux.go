package mount

import "golang.org/x/sys/unix"

// isLocal tells by the file system's type whether dir is on a disk of this
// machine: there system calls return, and tell what is so now. On NFS, FUSE, SMB
// and the like they may hang, and tell what was. What is not known to be local is
// not, which is always safe.
func isLocal(dir string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false
	}
	switch uint32(fs.Type) { // it is signed on some architectures
	case unix.EXT4_SUPER_MAGIC, // ext2 and ext3 too
		unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.REISERFS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC,
		unix.ISOFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.UDF_SUPER_MAGIC,
		0x2fc12fc1, // ZFS (include/sys/fs/zfs.h)
		0x3153464a: // JFS (fs/jfs/jfs_superblock.h)
		return true
	}
	return false
}
