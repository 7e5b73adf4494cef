package metadata_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"storagesrv/metadata"
	"storagesrv/metadata/metadatatest"
)

// A source is a Source whose answer a test changes.
type source struct {
	mu     sync.Mutex
	answer func(ctx context.Context) (*metadata.Call, error)
	asked  atomic.Int64
}

func (s *source) Call(ctx context.Context, id string) (*metadata.Call, error) {
	s.asked.Add(1)
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	call, err := answer(ctx)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	return call, nil
}

func (s *source) Health() metadata.Health { return metadata.Health{Up: true} }

func (s *source) set(answer func(ctx context.Context) (*metadata.Call, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *source) fail(err error) {
	s.set(func(context.Context) (*metadata.Call, error) { return nil, err })
}

// know answers with a call, fetched at that moment.
func (s *source) know(call metadata.Call) {
	s.set(func(context.Context) (*metadata.Call, error) {
		call := call
		call.Fetched = time.Now()
		return &call, nil
	})
}

// hang answers nothing until ctx ends.
func (s *source) hang() {
	s.set(func(ctx context.Context) (*metadata.Call, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
}

// inBubble runs f with a clock of its own.
func inBubble(t *testing.T, config metadata.CacheConfig, f func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.know(sampleCall("c1"))
		results := make(map[string]int)
		var mu sync.Mutex
		config.Observe = func(result string) {
			mu.Lock()
			defer mu.Unlock()
			results[result]++
		}
		cache := metadata.NewCache(s, config)
		defer cache.Close()
		f(t, s, cache, results)
	})
}

func mustCall(t *testing.T, cache *metadata.Cache) *metadata.Call {
	t.Helper()
	call, err := cache.Call(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	return call
}

func wantResults(t *testing.T, got map[string]int, want map[string]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("results = %v, want %v", got, want)
	}
}

func wantAsked(t *testing.T, s *source, want int64) {
	t.Helper()
	if n := s.asked.Load(); n != want {
		t.Errorf("asked %d times, want %d", n, want)
	}
}

func TestCacheKeepsCalls(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		first := mustCall(t, cache)
		time.Sleep(60*time.Second - time.Nanosecond)
		if mustCall(t, cache) != first {
			t.Error("another call within the TTL")
		}
		wantAsked(t, s, 1)
		time.Sleep(time.Nanosecond)
		if call := mustCall(t, cache); call == first || call.Stale {
			t.Error("the old call after the TTL")
		}
		wantAsked(t, s, 2)
		wantResults(t, results, map[string]int{"miss": 2, "hit": 1})
	})
}

func TestCacheKeepsLessForShorter(t *testing.T) {
	inProgress, open, empty := sampleCall("c1"), sampleCall("c1"), sampleCall("c1")
	inProgress.State = 4
	open.Files[0].Stop = time.Time{}
	empty.Files = nil
	for name, call := range map[string]metadata.Call{"in progress": inProgress, "file without stop": open, "no files": empty} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
				s.know(call)
				mustCall(t, cache)
				time.Sleep(5*time.Second - time.Nanosecond)
				mustCall(t, cache)
				wantAsked(t, s, 1)
				time.Sleep(time.Nanosecond)
				mustCall(t, cache)
				wantAsked(t, s, 2)
			})
		})
	}
}

func TestCacheKeepsNotFound(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		s.fail(metadata.ErrNotFound)
		for range 3 {
			_, err := cache.Call(t.Context(), "c1")
			wantError(t, err, metadata.ErrNotFound)
		}
		wantAsked(t, s, 1)
		wantResults(t, results, map[string]int{"miss": 1, "negative": 2})
		s.know(sampleCall("c1"))
		time.Sleep(5 * time.Second)
		mustCall(t, cache)
	})
}

func TestCacheAsksNobodyForWhatIsNoID(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		_, err := cache.Call(t.Context(), "../c1")
		wantError(t, err, metadata.ErrNotFound)
		wantAsked(t, s, 0)
		wantResults(t, results, map[string]int{"negative": 1})
	})
}

func TestCacheKeepsNoOtherFailure(t *testing.T) {
	for _, failure := range []error{metadata.ErrDenied, metadata.ErrMalformed, metadata.ErrUnavailable, metadata.ErrTimeout} {
		inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
			s.fail(failure)
			_, err := cache.Call(t.Context(), "c1")
			wantError(t, err, failure)
			s.know(sampleCall("c1"))
			mustCall(t, cache)
			wantResults(t, results, map[string]int{"miss": 1, "error": 1})
		})
	}
}

func TestCacheServesStaleWhileTheSourceFails(t *testing.T) {
	for _, failure := range []error{metadata.ErrMalformed, metadata.ErrUnavailable, metadata.ErrTimeout} {
		var log bytes.Buffer
		config := metadata.CacheConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		inBubble(t, config, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
			first := mustCall(t, cache)
			s.fail(failure)
			time.Sleep(60 * time.Second)
			call := mustCall(t, cache)
			if !call.Stale || !call.Fetched.Equal(first.Fetched) || first.Stale {
				t.Errorf("stale %t, fetched %v", call.Stale, call.Fetched)
			}
			if text := log.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "age=1m0s") || !strings.Contains(text, failure.Error()) {
				t.Errorf("log: %s", text)
			}
			wantResults(t, results, map[string]int{"miss": 1, "stale": 1})

			time.Sleep(24*time.Hour - 60*time.Second - time.Nanosecond)
			if call := mustCall(t, cache); !call.Stale {
				t.Error("not stale")
			}
			time.Sleep(time.Nanosecond)
			_, err := cache.Call(t.Context(), "c1")
			wantError(t, err, failure)

			s.know(sampleCall("c1"))
			if call := mustCall(t, cache); call.Stale {
				t.Error("stale")
			}
		})
	}
}

func TestCacheForgetsWhatTheSourceDenies(t *testing.T) {
	for _, answer := range []error{metadata.ErrDenied, metadata.ErrNotFound} {
		inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
			mustCall(t, cache)
			time.Sleep(60 * time.Second)
			s.fail(answer)
			_, err := cache.Call(t.Context(), "c1")
			wantError(t, err, answer)
			time.Sleep(5 * time.Second)
			s.fail(metadata.ErrUnavailable)
			_, err = cache.Call(t.Context(), "c1")
			wantError(t, err, metadata.ErrUnavailable)
		})
	}
}

func TestCacheDoesNotWaitAgainForASilentSource(t *testing.T) {
	const timeout = 6 * time.Second
	inBubble(t, metadata.CacheConfig{Timeout: timeout}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		mustCall(t, cache)
		s.hang()
		time.Sleep(60 * time.Second)
		for i, want := range []time.Duration{timeout, 0, 0} {
			before := time.Now()
			if call := mustCall(t, cache); !call.Stale {
				t.Error("not stale")
			}
			if took := time.Since(before); took != want {
				t.Errorf("look-up %d took %v, want %v", i, took, want)
			}
		}
		wantAsked(t, s, 2)
		for range 5 {
			time.Sleep(5 * time.Second)
			before := time.Now()
			mustCall(t, cache)
			if took := time.Since(before); took > 500*time.Millisecond {
				t.Errorf("took %v", took)
			}
		}
		s.know(sampleCall("c1"))
		time.Sleep(2 * timeout)
		if call := mustCall(t, cache); call.Stale {
			t.Error("stale although the source is back")
		}
	})
}

func TestCacheBoundsALookUp(t *testing.T) {
	inBubble(t, metadata.CacheConfig{Timeout: time.Second}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		s.hang()
		_, err := cache.Call(t.Context(), "c1")
		wantError(t, err, metadata.ErrTimeout)
	})
}

func TestCacheCallerWhoLeavesHarmsNoOther(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		release := make(chan struct{})
		s.set(func(ctx context.Context) (*metadata.Call, error) {
			select {
			case <-release:
				call := sampleCall("c1")
				return &call, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := cache.Call(ctx, "c1")
			left <- err
		}()
		synctest.Wait()
		stayed := make(chan error)
		go func() {
			_, err := cache.Call(t.Context(), "c1")
			stayed <- err
		}()
		synctest.Wait()
		leave()
		wantError(t, <-left, context.Canceled)
		close(release)
		if err := <-stayed; err != nil {
			t.Error(err)
		}
		wantAsked(t, s, 1)
		wantResults(t, results, map[string]int{"miss": 2})
	})
}

func TestCacheRefresh(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		seen := mustCall(t, cache)
		time.Sleep(time.Second)
		moved := sampleCall("c1")
		moved.Files[0].Path = "/var/recordings/moved.mp3"
		s.know(moved)
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // some come while it is under way, some after
				call, err := cache.Refresh(t.Context(), seen)
				if err != nil || call.Files[0].Path != moved.Files[0].Path {
					t.Errorf("call = %+v, %v", call, err)
				}
			})
		}
		wg.Wait()
		wantAsked(t, s, 2)
		wantResults(t, results, map[string]int{"miss": 2, "hit": 9})

		s.fail(metadata.ErrUnavailable)
		time.Sleep(time.Second)
		call, err := cache.Refresh(t.Context(), mustCall(t, cache))
		if err != nil || !call.Stale {
			t.Errorf("call = %+v, %v", call, err)
		}
		wantAsked(t, s, 3)

		time.Sleep(10 * time.Second)
		s.fail(metadata.ErrNotFound)
		for range 2 {
			_, err = cache.Refresh(t.Context(), call)
			wantError(t, err, metadata.ErrNotFound)
		}
		wantAsked(t, s, 4)
	})
}

func TestCacheClose(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		s.hang()
		failed := make(chan error)
		go func() {
			_, err := cache.Call(t.Context(), "c1")
			failed <- err
		}()
		synctest.Wait()
		cache.Close()
		wantError(t, <-failed, metadata.ErrUnavailable)
		_, err := cache.Call(t.Context(), "c1")
		wantError(t, err, metadata.ErrUnavailable)
		wantAsked(t, s, 1)
	})
}

func TestCacheBoundsLookUps(t *testing.T) {
	inBubble(t, metadata.CacheConfig{}, func(t *testing.T, s *source, cache *metadata.Cache, results map[string]int) {
		s.hang()
		var wg sync.WaitGroup
		var refused atomic.Int64
		for i := range 2000 {
			wg.Go(func() {
				_, err := cache.Call(t.Context(), fmt.Sprint("c", i))
				if errors.Is(err, metadata.ErrUnavailable) {
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if n := refused.Load(); n != 2000-1024 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestCacheOverHTTPAsksOnceForAll(t *testing.T) {
	recorder := metadatatest.New("", "")
	recorder.Set(sampleCall("c1"))
	release := make(chan struct{})
	recorder.Fail("", metadatatest.Hang(release))
	server := httptest.NewServer(recorder)
	defer server.Close()
	client := newClient(t, metadata.ClientConfig{URL: server.URL, Timeout: patient})
	cache := metadata.NewCache(client, metadata.CacheConfig{})
	defer cache.Close()

	const callers = 50
	var arrived, wg sync.WaitGroup
	arrived.Add(callers)
	for range callers {
		wg.Go(func() {
			arrived.Done()
			if _, err := cache.Call(t.Context(), "c1"); err != nil {
				t.Error(err)
			}
		})
	}
	arrived.Wait()
	close(release)
	wg.Wait()
	if n := recorder.Requests("c1"); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestCacheOverHTTPOutlivesTheRecorder(t *testing.T) {
	recorder := metadatatest.New("", "")
	recorder.Set(sampleCall("c1"))
	server := httptest.NewServer(recorder)
	defer server.Close()
	client := newClient(t, metadata.ClientConfig{URL: server.URL, Timeout: 4 * time.Second})
	cache := metadata.NewCache(client, metadata.CacheConfig{TTL: -1})
	defer cache.Close()
	if call := mustCall(t, cache); call.Stale {
		t.Error("stale")
	}
	recorder.Fail("", metadatatest.Hang(nil))
	if call := mustCall(t, cache); !call.Stale {
		t.Error("not stale")
	}
}
