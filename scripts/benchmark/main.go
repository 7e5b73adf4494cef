//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "resolve" {
		fmt.Fprintln(os.Stderr, "benchmark:", resolve(os.Args[2:], os.Stderr))
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
}

// run measures what args ask for, and reports it. Nothing that it starts is
// left when it returns, even if ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	opts, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	cases := opts.cases()
	if len(cases) == 0 {
		return fmt.Errorf("no case and peer match %s", opts.only)
	}
	r, err := newRig(opts, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	result := &report{Options: opts.String()}
	if result.Environment, err = environment(opts, cases); err != nil {
		return err
	}
	if err := r.runAll(ctx, cases, result); err != nil {
		return err
	}
	if err := result.write(stdout, opts.out); err != nil {
		return err
	}
	fmt.Fprintln(stderr, "written to", opts.out)
	if n := len(result.Failures); n > 0 {
		return fmt.Errorf("%d runs failed", n)
	}
	return nil
}

// raiseFileLimit allows as many open files as may be, here and in what is
// started: 1,000 listeners are more than the usual 1,024.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
