package spool

import "os"

// KeepNames makes s leave its files their names until they are closed, as where
// the operating system does not remove open files.
func (s *Spool) KeepNames() { s.keepName = true }

// MakeFilesBy makes s write to what newFile returns.
func (s *Spool) MakeFilesBy(newFile func() (*os.File, error)) { s.newFile = newFile }
