package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
)

// large is a source whose calls are large.
type large struct{ size int }

func (l large) Call(_ context.Context, id string) (*Call, error) {
	return &Call{ID: id, Raw: make(json.RawMessage, l.size)}, nil
}

func (large) Health() Health { return Health{Up: true} }

func TestCacheBoundsMemory(t *testing.T) {
	const limit = 1 << 20
	cache := NewCache(large{100 << 10}, CacheConfig{MaxBytes: limit})
	defer cache.Close()
	for i := range 50 {
		if _, err := cache.Call(t.Context(), fmt.Sprint("c", i)); err != nil {
			t.Fatal(err)
		}
	}
	cache.entries.CleanUp() // what it does by itself a moment later
	if weight, n := cache.entries.WeightedSize(), cache.entries.EstimatedSize(); weight > limit || n < 5 || n > 10 {
		t.Errorf("%d calls of %d bytes are kept in %d", n, weight, limit)
	}
}
