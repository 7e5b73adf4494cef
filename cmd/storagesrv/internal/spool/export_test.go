package spool

import "os"

// KeepNames makes s leave its files their names until they are closed, as where
// the operating system does not remove open files.
func (s *Spool) KeepNames() { s.keepName = true }

// MakeFilesBy makes s write to what newFile returns.
func (s *Spool) MakeFilesBy(newFile func() (*os.File, error)) { s.newFile = newFile }

// Expire is what a timer does that has fired, maybe in the moment in which f was
// opened.
func (f *File) Expire() { f.item.spool.expire(f.item) }
