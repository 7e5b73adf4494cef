package server

import (
	"errors"
	"testing"
)

func TestSlotsRememberNobody(t *testing.T) {
	s := slots{most: 3, mostEach: 2, each: make(map[string]int)}
	var frees []func()
	for _, client := range []string{"a", "b", ""} {
		free, err := s.take(client)
		if err != nil {
			t.Fatal(err)
		}
		frees = append(frees, free)
	}
	if _, err := s.take("c"); !errors.Is(err, tooManyStreams) {
		t.Errorf("a fourth: %v", err)
	}
	for _, free := range frees {
		free()
	}
	if s.taken != 0 || len(s.each) != 0 {
		t.Errorf("%d are taken, by %v", s.taken, s.each)
	}
}
