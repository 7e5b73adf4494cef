//go:build !linux

package mount

import "os"

// willNeed does nothing on systems that we do not tune for.
func willNeed(*os.File, int64, int64) {}
