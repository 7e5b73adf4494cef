package metadata

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
	"unicode/utf8"
)

// wellFormed returns an error unless data is one value of JSON and nothing else.
// What follows in this file relies on it.
func wellFormed(data []byte) error {
	if json.Valid(data) {
		return nil
	}
	return json.Unmarshal(data, &json.RawMessage{}) // says what is wrong
}

// A walk goes through JSON that is well-formed, and splits it where it is asked
// to. Package json would read all that a value holds again at every level.
type walk struct {
	data  []byte
	at    int
	began int // where the last value did
}

// value returns the value that comes next, as it stands, and goes past it.
func (w *walk) value() []byte {
	w.skip()
	w.began = w.at
	switch w.data[w.at] {
	case '"':
		w.passString()
	case '{', '[':
		w.passNested()
	default:
		if n := bytes.IndexAny(w.data[w.at:], " \t\r\n,]}"); n >= 0 {
			w.at += n
		} else {
			w.at = len(w.data)
		}
	}
	return w.data[w.began:w.at]
}

// enter goes into the array or object that comes next. Its elements are to be read
// for as long as there are more: of an object, a name and a value by turns.
func (w *walk) enter() {
	w.skip()
	w.at++
}

// more reports whether there are more elements. If not, it leaves the array or
// object.
func (w *walk) more() bool {
	w.skip()
	if c := w.data[w.at]; c == ']' || c == '}' {
		w.at++
		return false
	}
	return true
}

// isArray reports whether an array comes next.
func (w *walk) isArray() bool {
	w.skip()
	return w.data[w.at] == '['
}

// skip goes past what stands between two values.
func (w *walk) skip() {
	for w.at < len(w.data) && strings.IndexByte(" \t\r\n,:", w.data[w.at]) >= 0 {
		w.at++
	}
}

func (w *walk) passString() {
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
}

func (w *walk) passNested() {
	for depth := 0; ; {
		switch w.data[w.at] {
		case '"':
			w.passString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if w.at++; depth == 0 {
			return
		}
	}
}

// elements are those of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := walk{data: array}
		for w.enter(); w.more(); {
			if !yield(w.value()) {
				return
			}
		}
	}
}

// members are those of an object.
func members(object []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		w := walk{data: object}
		for w.enter(); w.more(); {
			if !yield(unquote(w.value()), w.value()) {
				return
			}
		}
	}
}

// unquote returns what a string says. What is not UTF-8 in it is replaced.
func unquote(quoted []byte) (s string) {
	if plain := quoted[1 : len(quoted)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	if json.Unmarshal(quoted, &s) != nil { // as it does not, of what is well-formed
		return string(quoted) // which is no id, no path, and no word for what is not encrypted
	}
	return s
}

// kind names the type of a JSON value by its first byte; nothing is null.
func kind(value []byte) string {
	value = bytes.TrimLeft(value, " \t\r\n")
	if len(value) == 0 {
		return "null"
	}
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
