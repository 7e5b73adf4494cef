package audit

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What spans say is what a list of all bytes says, but for what was forgotten.
func TestSpansCoverWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 1000 // so that there is room for more spans than are kept
		var s spans
		var bytes [size]bool
		forgot := false
		for range rapid.IntRange(0, 200).Draw(t, "n") {
			from := rapid.Int64Range(0, size-1).Draw(t, "from")
			to := min(size, from+rapid.Int64Range(1, 5).Draw(t, "length"))
			s.add(from, to)
			for i := from; i < to; i++ {
				bytes[i] = true
			}
			forgot = forgot || len(s) == mostSpans
		}
		covered, last := 0, int64(-1)
		for _, span := range s {
			if span.from <= last || span.to <= span.from {
				t.Fatalf("not in order, with gaps: %v", s)
			}
			last = span.to
			for i := span.from; i < span.to; i++ {
				if covered++; !bytes[i] {
					t.Fatalf("%v holds %d, which was not added", s, i)
				}
			}
		}
		added := 0
		for _, has := range bytes {
			if has {
				added++
			}
		}
		if len(s) > mostSpans || covered > added || !forgot && covered != added {
			t.Fatalf("%v hold %d bytes of %d", s, covered, added)
		}
		if s.cover(size) != (covered == size) {
			t.Fatalf("%v cover all: %v", s, s.cover(size))
		}
	})
}

func TestTheShortestSpanIsForgotten(t *testing.T) {
	var s, want spans
	for i := range int64(mostSpans + 1) { // 10 bytes each, but one
		from, to := 20*i, 20*i+10
		if i == 7 {
			to--
		} else {
			want = append(want, span{from, to})
		}
		s.add(from, to)
		if i < mostSpans && int64(len(s)) != i+1 {
			t.Fatalf("%d spans after %d", len(s), i+1)
		}
	}
	if !slices.Equal(s, want) {
		t.Errorf("got %v, want %v", s, want)
	}
}
