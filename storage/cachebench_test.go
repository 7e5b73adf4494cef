package storage_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"storagesrv/storage"
)

// benchFile is long enough for a benchmark's memory to matter.
const benchFile = 16 << 20

var benchFiles atomic.Int64

// benchCached reads recordings of benchFile bytes, 224 KiB at a time.
func benchCached(b *testing.B, memory int64, name func() string) {
	store := newCache(b, storage.CacheConfig{Memory: memory, Revalidate: time.Hour}).Over("", newShelf(benchFile))
	benchSequential(b, store, name)
}

func benchSequential(b *testing.B, store storage.Store, name func() string) {
	buffer := make([]byte, 224<<10)
	b.SetBytes(benchFile)
	b.ReportAllocs()
	for b.Loop() {
		file, err := store.Open(b.Context(), name())
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, buffer); n != benchFile || err != nil {
			b.Fatal(n, err)
		}
		file.Close()
	}
}

func BenchmarkCacheNone(b *testing.B) {
	benchSequential(b, newShelf(benchFile), func() string { return "a" })
}

func BenchmarkCacheHit(b *testing.B) {
	benchCached(b, 64<<20, func() string { return "a" })
}

// Each recording is new, and pushes others out.
func BenchmarkCacheMissSequential(b *testing.B) {
	benchCached(b, 16*benchFile, func() string { return fmt.Sprint(benchFiles.Add(1)) })
}

// Each recording is new, and most of it is read past the cache.
func BenchmarkCacheDirect(b *testing.B) {
	benchCached(b, 2<<20, func() string { return fmt.Sprint(benchFiles.Add(1)) })
}

func BenchmarkCacheOpen(b *testing.B) {
	store := newCache(b, storage.CacheConfig{Revalidate: time.Hour}).Over("", newShelf(100))
	b.ReportAllocs()
	for b.Loop() {
		file, err := store.Open(b.Context(), "a")
		if err != nil {
			b.Fatal(err)
		}
		file.Close()
	}
}

// Ranges of 64 KiB at random, of recordings of which half fit into memory.
func BenchmarkCacheParallel8(b *testing.B) {
	store := newCache(b, storage.CacheConfig{Memory: 4 * benchFile, Revalidate: time.Hour}).Over("", newShelf(benchFile))
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	b.SetParallelism(4) // 8 on two cores
	b.RunParallel(func(pb *testing.PB) {
		buffer := make([]byte, 64<<10)
		for pb.Next() {
			file, err := store.Open(context.Background(), fmt.Sprint(rand.IntN(8)))
			if err != nil {
				b.Error(err)
				return
			}
			if _, err := file.ReadAt(buffer, rand.Int64N(benchFile-64<<10)); err != nil {
				b.Error(err)
			}
			file.Close()
		}
	})
}
