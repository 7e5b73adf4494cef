package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// An exhausted listener belongs to a process that may open no more files.
type exhausted struct{ net.Listener }

func (exhausted) Accept() (net.Conn, error) {
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
}

// A closed listener is what a server ends with.
type closed struct{ net.Listener }

func (closed) Accept() (net.Conn, error) { return nil, &net.OpError{Op: "accept", Err: net.ErrClosed} }

// Nobody is served then, and no request is there to be logged.
func TestConnectionsThatCannotBeAcceptedAreInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := loudListener{Listener: exhausted{}, log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 100 { // as often as net/http tries
			if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
				t.Fatalf("%v is not what the listener says", err)
			}
			time.Sleep(time.Second)
		}
		if got := log.String(); strings.Count(got, "\n") != 2 || strings.Count(got, "level=WARN") != 2 || !strings.Contains(got, "too many open files") {
			t.Errorf("log %s", got)
		}
	})
}

func TestTheEndOfAListenerIsNoFailure(t *testing.T) {
	var log bytes.Buffer
	l := loudListener{Listener: closed{}, log: slog.New(slog.NewTextHandler(&log, nil))}
	if _, err := l.Accept(); err == nil || log.Len() > 0 {
		t.Errorf("%v, log %s", err, &log)
	}
}
