package media

import "sync"

const (
	// Fewer samples than these are believed, because speech of this length can
	// look uniform: at 8 kHz they last 128 ms. Codecs without samples of a
	// fixed width are dense, and 1 KiB of GSM 6.10 looks uniform 1 time in 5.
	minSamples = 1024
	minCoded   = 4096
	// Between these, the chi-square of a histogram of bytes is that of
	// uniform ones: 255 degrees of freedom have a mean of 255 and a standard
	// deviation of 22.6. Uniform bytes fall below 1 time in 10¹¹, above 2
	// times in 10⁸.
	minChiSquare, maxChiSquare = 130, 400
)

// samples are the first ones of a recording, as they are stored.
type samples struct {
	data     []byte
	width    int // bytes per sample
	top      int // which of them is the most significant
	channels int // samples from one to the next of the same channel
	enough   int // how many are needed to judge
}

// uniform reports whether the samples look like ciphertext: all values are
// equally frequent, in the most significant bytes and in the least, and so are
// the differences from one sample of a channel to the next. Speech, tones,
// noise and silence are far from that: of 324,000 signals as in the tests none
// was refused, of 200,000 pieces of ciphertext none passed. Full-scale white
// noise of evenly distributed linear samples is that exactly, and cannot be
// told from ciphertext by anybody.
//
// Blocks that repeat count once, since a cipher in ECB mode turns silence into
// a block that repeats.
func (s samples) uniform() bool {
	c := counts.Get().(*count)
	defer counts.Put(c)
	s.data = c.blocks.distinct(s.data, s.width)
	if len(s.data)/s.width < s.enough {
		return false
	}
	return s.uniformAt(s.top, c) && s.uniformAt(s.width-1-s.top, c)
}

// A count is what samples are counted with. It is used again, and so large that
// on the stack it would double that of every listener.
type count struct {
	blocks        blockSet
	values, steps [256]int
}

var counts = sync.Pool{New: func() any { return new(count) }}

// uniformAt judges by the byte of each sample at the given place.
func (s samples) uniformAt(place int, c *count) bool {
	clear(c.values[:])
	clear(c.steps[:])
	n := len(s.data) / s.width
	for i := range n {
		v := s.data[i*s.width+place]
		c.values[v]++
		if i >= s.channels {
			c.steps[v-s.data[(i-s.channels)*s.width+place]]++
		}
	}
	return isUniform(&c.values, n) && isUniform(&c.steps, n-s.channels)
}

func isUniform(histogram *[256]int, count int) bool {
	expected, chiSquare := float64(count)/256, 0.0
	for _, n := range histogram {
		d := float64(n) - expected
		chiSquare += d * d / expected
	}
	return chiSquare > minChiSquare && chiSquare < maxChiSquare
}
