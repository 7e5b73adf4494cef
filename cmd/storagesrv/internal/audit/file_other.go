//go:build !unix

package audit

import "os"

// isRemoved reports whether an open file has no name any more, which does not
// happen here.
func isRemoved(*os.File) bool { return false }
