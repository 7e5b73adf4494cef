package mount

import "golang.org/x/sys/unix"

// kindOf tells by the file system's type whether dir is on a disk of this
// machine. What is not known to be is remote, which is always safe.
func kindOf(dir string) kind {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return unknown
	}
	switch uint32(fs.Type) { // it is signed on some architectures
	case unix.EXT4_SUPER_MAGIC, // ext2 and ext3 too
		unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.REISERFS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC,
		unix.ISOFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.UDF_SUPER_MAGIC,
		0x2fc12fc1, // ZFS (include/sys/fs/zfs.h)
		0x3153464a: // JFS (fs/jfs/jfs_superblock.h)
		return local
	}
	return remote
}
