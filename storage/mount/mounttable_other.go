//go:build !linux

package mount

// mountTable is not known on other systems: a look that hangs is waited for.
func mountTable(string) string { return "" }

// hasMountsBelow is asked of local disks only, which no other system has for us.
func hasMountsBelow(string) bool { return false }
