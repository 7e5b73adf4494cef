//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package spool

import "os"

// lock does nothing: an open file cannot be removed here.
func lock(*os.File) error { return nil }

func openOwn(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR, 0) }
