package main

import (
	"os"
	"runtime/debug"
)

// working is how much memory there may be beyond the cache of recordings before
// the collector works harder: for what is read ahead of all listeners together,
// on its way through three buffers, and 100 KiB for each of a thousand.
const working = 220 << 20

// limitMemory makes garbage be collected in time rather than often: seldom
// while there is room, and before the process grows beyond what it needs.
// GOMEMLIMIT and GOGC, if they are set, are obeyed instead.
func limitMemory(cache int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cache + working)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
