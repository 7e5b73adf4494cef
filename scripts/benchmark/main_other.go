//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "benchmark: it needs Linux: /proc, FUSE, and addresses of 127.0.0.0/8")
	os.Exit(2)
}
