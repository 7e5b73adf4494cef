package storage

import (
	"math/bits"
	"sync"
)

// longestFetch is how much is fetched by one read of the store below: 2 MiB,
// the window of an SSH channel in OpenSSH and x/crypto.
const longestFetch = 2 << 20

// chunkBuffers are buffers for fetches: of 1, 2, 4 ... 64 chunks.
var chunkBuffers [7]sync.Pool

// newChunkBuffer returns a buffer that holds n bytes, longestFetch at most.
func newChunkBuffer(n int) *[]byte {
	class := bufferClass(n)
	if b, ok := chunkBuffers[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, chunkSize<<class)
	return &b
}

func freeChunkBuffer(b *[]byte) { chunkBuffers[bufferClass(len(*b))].Put(b) }

func bufferClass(n int) int { return bits.Len(uint(max(n, 1)-1) / chunkSize) }
