package main

import (
	"math"
	"reflect"
	"testing"
)

func TestSpreadLeavesOutWhatFailed(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    spread
	}{
		{nil, spread{}},
		{[]float64{missing, missing}, spread{}},
		{[]float64{7}, spread{7, 7, 7, 1}},
		{[]float64{9, 1, 5}, spread{5, 1, 9, 3}},
		{[]float64{4, missing, 1, 2, 3}, spread{2.5, 1, 4, 4}},
	} {
		if got := spreadOf(c.samples); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.samples, got, c.want)
		}
	}
}

func TestQuantileLiesBetweenSamples(t *testing.T) {
	hundred := make([]float64, 101)
	for i := range hundred {
		hundred[i] = float64(i)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 50, 0.99: 99, 0.995: 99.5, 1: 100} {
		if got := quantile(hundred, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g: got %g, want %g", q, got, want)
		}
	}
}

// The median of the ratios is not the ratio of the medians.
func TestRatiosAreTakenRunByRun(t *testing.T) {
	got := spreadOf(ratios([]float64{10, 40, 90, missing, 5, 5}, []float64{10, 20, 30, 4, missing, 0}))
	if want := (spread{2, 1, 3, 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := ratios([]float64{1, 2}, nil); len(got) != 0 {
		t.Errorf("without a divisor: %v", got)
	}
}

func TestPresentLeavesTheSamplesAsTheyAre(t *testing.T) {
	samples := []float64{3, missing, 1}
	if got := present(samples); !reflect.DeepEqual(got, []float64{1, 3}) || samples[0] != 3 {
		t.Errorf("got %v, and left %v", got, samples)
	}
}
