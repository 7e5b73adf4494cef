package main

import (
	"math"
	"slices"
)

// missing is the sample of a run that failed.
var missing = math.NaN()

// A spread sums up samples; its zero value is of none.
type spread struct {
	Median, Min, Max float64
	Count            int
}

// spreadOf leaves out missing samples.
func spreadOf(samples []float64) spread {
	there := present(samples)
	if len(there) == 0 {
		return spread{}
	}
	return spread{quantile(there, 0.5), there[0], there[len(there)-1], len(there)}
}

// quantile returns the value below which the share q of sorted lies, between
// two of them where it falls there. There must be one.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low == len(sorted)-1 {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// ratios divides run by run. It is missing where either is, or where the
// divisor is 0.
func ratios(dividends, divisors []float64) []float64 {
	out := make([]float64, min(len(dividends), len(divisors)))
	for i := range out {
		out[i] = dividends[i] / divisors[i]
		if math.IsInf(out[i], 0) {
			out[i] = missing
		}
	}
	return out
}

// present returns the samples that are not missing, sorted.
func present(samples []float64) []float64 {
	return slices.Sorted(func(yield func(float64) bool) {
		for _, s := range samples {
			if !math.IsNaN(s) && !yield(s) {
				return
			}
		}
	})
}
