package audit

import "slices"

// spans are parts of a recording, in order, with gaps in between.
type spans []span

type span struct{ from, to int64 } // to is the first byte after it

// mostSpans bounds the memory that a listener takes who seeks all the time.
// Beyond it the shortest is forgotten: a recording may then be called partial
// that is complete, never the other way round.
const mostSpans = 32

// add adds what lies between from and to.
func (s *spans) add(from, to int64) {
	all := *s
	i, _ := slices.BinarySearchFunc(all, from, func(s span, from int64) int { // the first that touches, or lies behind
		if s.to < from {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(all) && all[j].from <= to; j++ {
		from, to = min(from, all[j].from), max(to, all[j].to)
	}
	*s = slices.Replace(all, i, j, span{from, to})
	if len(*s) > mostSpans {
		s.forgetShortest()
	}
}

func (s *spans) forgetShortest() {
	shortest := 0
	for i, span := range *s {
		if span.to-span.from < (*s)[shortest].to-(*s)[shortest].from {
			shortest = i
		}
	}
	*s = slices.Delete(*s, shortest, shortest+1)
}

// cover reports whether nothing is missing of a recording of size bytes.
func (s spans) cover(size int64) bool {
	return size > 0 && len(s) > 0 && s[0].from == 0 && s[0].to >= size
}
