package media

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestVerdictsReadOnce(t *testing.T) {
	v := NewVerdicts(10)
	for name, b := range map[string][]byte{
		"media":        sample(t, "mp3.mp3"),
		"unrecognized": randomBytes(100),
		"encrypted":    []byte("Salted__12345678"),
		"empty":        wav("RIFF"),
	} {
		r := newBounded(b)
		k := Key{Store: "/recordings mount", Path: name, Size: r.size, ModTime: noon}
		want, wantErr := v.Identify(k, r)
		reads := r.reads
		got, err := v.Identify(k, r)
		if got != want || err != wantErr || r.reads != reads {
			t.Errorf("%s: %+v, %v after %d reads", name, got, err, r.reads)
		}
	}
}

func TestVerdictsForgetReadErrors(t *testing.T) {
	v, b := NewVerdicts(10), sample(t, "mp3.mp3")
	k := Key{Path: "a.mp3", Size: int64(len(b)), ModTime: noon}
	broken := errors.New("broken")
	if _, err := v.Identify(k, failing{broken}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if f, err := v.Identify(k, bytes.NewReader(b)); err != nil || f.Codec != "mp3" {
		t.Fatalf("%+v, %v", f, err)
	}
}

func TestVerdictsJudgeAgainWhatChanged(t *testing.T) {
	v, b := NewVerdicts(10), sample(t, "mp3.mp3")
	k := Key{Store: "a", Path: "a.mp3", Size: int64(len(b)), ModTime: noon}
	if _, err := v.Identify(k, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []Key{
		{"b", k.Path, k.Size, k.ModTime},
		{k.Store, "b.mp3", k.Size, k.ModTime},
		{k.Store, k.Path, k.Size - 1, k.ModTime},
		{k.Store, k.Path, k.Size, k.ModTime.Add(1)},
	} {
		if _, err := v.Identify(other, bytes.NewReader(make([]byte, k.Size))); !errors.Is(err, ErrUnrecognized) {
			t.Errorf("%+v: %v", other, err)
		}
	}
}

func TestFirstSeenStaysWhileTheKeyDoes(t *testing.T) {
	v := NewVerdicts(10)
	k := Key{Path: "a.mp3", Size: 1, ModTime: noon.Add(time.Hour)}
	if _, err := v.Identify(k, bytes.NewReader([]byte{0})); !errors.Is(err, ErrUnrecognized) {
		t.Fatal(err)
	}
	for i := range 3 {
		if got := v.FirstSeen(k, noon.Add(time.Duration(i)*time.Second)); got != noon {
			t.Fatal(got)
		}
	}
	k.ModTime = k.ModTime.In(time.FixedZone("", 3600)) // the same instant
	if got := v.FirstSeen(k, noon.Add(time.Minute)); got != noon {
		t.Fatal(got)
	}
	k.Size++
	if got := v.FirstSeen(k, noon.Add(time.Minute)); got != noon.Add(time.Minute) {
		t.Fatal(got)
	}
}

func TestVerdictsForgetTheLeastRecentlyUsed(t *testing.T) {
	v := NewVerdicts(2)
	key := func(path string) Key { return Key{Path: path} }
	v.FirstSeen(key("a"), noon)
	v.FirstSeen(key("b"), noon)
	v.FirstSeen(key("a"), noon)
	v.FirstSeen(key("c"), noon) // in the place of b
	later := noon.Add(time.Second)
	if a, c := v.FirstSeen(key("a"), later), v.FirstSeen(key("c"), later); a != noon || c != noon {
		t.Error(a, c)
	}
	if b := v.FirstSeen(key("b"), later); b != later || len(v.entries) != 2 || v.recent.Len() != 2 {
		t.Error(b, len(v.entries), v.recent.Len())
	}
}

func TestVerdictsAreSafeForConcurrentUse(t *testing.T) {
	v, b := NewVerdicts(5), sample(t, "mp3.mp3")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				k := Key{Path: fmt.Sprint((i + j) % 9), Size: int64(len(b)), ModTime: noon}
				if _, err := v.Identify(k, bytes.NewReader(b)); err != nil {
					t.Error(err)
				}
				v.FirstSeen(k, noon)
			}
		})
	}
	wg.Wait()
}
