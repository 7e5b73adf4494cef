//go:build !linux

package mount

import "io/fs"

// mountTable is not known on other systems: a look that hangs is waited for.
func mountTable(string) string { return "" }

// hasMountsBelow is asked of local disks only, which no other system has for us.
func hasMountsBelow(string) bool { return false }

// typeOf is not known on other systems.
func typeOf(fs.FileInfo) string { return "" }
