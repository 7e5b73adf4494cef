package main

import (
	"errors"
	"log/slog"
	"net"
	"time"
)

// A loudListener logs that connections cannot be accepted, as those of a process
// that may open no more files. net/http goes on trying, and says so among what
// clients do wrong, which is for nobody to read. One goroutine uses it.
type loudListener struct {
	net.Listener
	log  *slog.Logger
	said time.Time // when that was logged last
}

// acceptReminder is how often it is logged.
const acceptReminder = time.Minute

// Accept is [net.Listener]'s.
func (l *loudListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) && time.Since(l.said) >= acceptReminder {
		l.said = time.Now()
		l.log.Warn("connections cannot be accepted", "error", err)
	}
	return c, err
}
