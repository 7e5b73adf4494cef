package metadata

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxAnswer = 1 << 20 // bytes of JSON about one call; a typical one has 2,000
	maxFiles  = 10_000  // of one call
)

// decodeCall reads the recorder's answer about the call id, {"call": {...}}.
// The answer may leave call_id out, but must not be about another call: ids are
// compared exactly. The result keeps body as its Raw. Errors are ErrMalformed.
func decodeCall(body []byte, id, encryptedField string) (*Call, error) {
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxAnswer)
	}
	// encoding/json would replace what is not UTF-8, and a path with it.
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrMalformed)
	}
	if err := wellFormed(body); err != nil {
		return nil, fmt.Errorf("%w: the answer: %w", ErrMalformed, err)
	}
	answer := parseFields(body, "the answer")
	object := answer.value("call")
	if answer.err == nil && object == nil {
		return nil, fmt.Errorf("%w: no call", ErrMalformed)
	}
	if answer.err != nil {
		return nil, answer.err
	}
	call, err := decodeObject(parseFields(object, "call"), encryptedField)
	if err != nil {
		return nil, err
	}
	if call.ID == "" {
		call.ID = id
	}
	if call.ID != id {
		return nil, fmt.Errorf("%w: it is about call %s", ErrMalformed, excerpt(call.ID))
	}
	call.Raw = body
	return call, nil
}

// decodeObject reads what "call" holds. Its Raw and Fetched are the caller's
// to set.
func decodeObject(f *fields, encryptedField string) (*Call, error) {
	call := &Call{
		ID:       f.string("call_id"),
		From:     f.text("from_number"),
		To:       f.text("to_number"),
		Start:    f.time("start_time"),
		Stop:     f.time("stop_time"),
		Duration: f.seconds("duration"),
		State:    int(f.integer("call_state", math.MaxInt32)),
	}
	if f.err != nil {
		return nil, f.err
	}
	list, ok := f.values["files"]
	if !ok {
		return nil, fmt.Errorf("%w: no files array", ErrMalformed)
	}
	var err error
	call.Files, err = decodeFiles(list, encryptedField)
	return call, err
}

// decodeFiles reads the array of files; null is as good as an empty one. An id
// may be missing if there is one file only: nobody needs it to choose that.
func decodeFiles(list []byte, encryptedField string) ([]File, error) {
	k := kind(list)
	if k != "null" && k != "an array" {
		return nil, fmt.Errorf("%w: files is %s, not an array", ErrMalformed, k)
	}
	var objects [][]byte
	if k == "an array" {
		objects = slices.Collect(elements(list))
	}
	if len(objects) > maxFiles {
		return nil, fmt.Errorf("%w: more than %d files", ErrMalformed, maxFiles)
	}
	files := make([]File, 0, len(objects))
	seen := make(map[string]bool, len(objects))
	for i, object := range objects {
		f := parseFields(object, fmt.Sprintf("files[%d]", i))
		file := File{
			ID:        f.string("file_id"),
			Start:     f.time("start_time"),
			Stop:      f.time("stop_time"),
			Size:      f.integer("file_size", math.MaxInt64),
			Path:      f.string("file_path"),
			Encrypted: saysEncrypted(f.value(encryptedField)),
		}
		if f.err != nil {
			return nil, f.err
		}
		if !ValidFileID(file.ID) && (file.ID != "" || len(objects) > 1) {
			return nil, fmt.Errorf("%w: files[%d] has file_id %s", ErrMalformed, i, excerpt(file.ID))
		}
		if seen[file.ID] {
			return nil, fmt.Errorf("%w: file_id %s twice", ErrMalformed, excerpt(file.ID))
		}
		seen[file.ID] = true
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
	})
	return files, nil
}

// saysEncrypted reads the field that marks ciphertext. In doubt the answer is
// yes: ciphertext must never be played.
func saysEncrypted(value []byte) bool {
	switch kind(value) {
	case "null":
		return false
	case "a boolean":
		return string(value) != "false"
	case "a number":
		return strings.Trim(string(value), "-0.") != "" // -0 and 0.00 are 0 too
	case "a string":
		return !slices.Contains([]string{"", "false", "0", "no"}, strings.ToLower(unquote(value)))
	default:
		return true
	}
}

// fields reads the members of one JSON object and keeps the first error. A
// member that is null counts as absent; names are case-sensitive, and none
// stands twice: which of two values holds would be a guess.
type fields struct {
	of     string // what the object is, for errors
	values map[string][]byte
	err    error
}

// parseFields reads what is a well-formed value, but maybe no object.
func parseFields(value []byte, of string) *fields {
	f := &fields{of: of}
	if kind(value) != "an object" {
		f.err = fmt.Errorf("%w: %s is no JSON object", ErrMalformed, of)
		return f
	}
	f.values = make(map[string][]byte)
	for name, value := range members(value) {
		if f.values[name] != nil {
			f.err = fmt.Errorf("%w: %s has a member twice", ErrMalformed, of)
		}
		f.values[name] = value
	}
	return f
}

// value returns the member as it stands, nil if absent.
func (f *fields) value(name string) []byte {
	value := f.values[name]
	if kind(value) == "null" {
		return nil
	}
	return value
}

// string returns a member that must be a string, "" if absent.
func (f *fields) string(name string) string {
	return f.textOf(name, "a string")
}

// text is string for what may be a number as well, and returns its digits.
func (f *fields) text(name string) string {
	return f.textOf(name, "a string", "a number")
}

func (f *fields) textOf(name string, kinds ...string) string {
	value := f.value(name)
	if value == nil {
		return ""
	}
	k := kind(value)
	if !slices.Contains(kinds, k) {
		f.fail(name, k)
		return ""
	}
	if k == "a number" {
		return string(value)
	}
	return unquote(value)
}

// integer returns a member that is a whole number from 0 to limit, as a number
// or in a string. Any other number or string counts as absent: none of those
// that we read decides what is played.
func (f *fields) integer(name string, limit int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(f.text(name)), 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0
	}
	return n
}

// seconds is integer for a length of time, which may have a fraction.
func (f *fields) seconds(name string) time.Duration {
	const limit = 100 * 365 * 24 * 60 * 60
	n, err := strconv.ParseFloat(strings.TrimSpace(f.text(name)), 64)
	if err != nil || !(0 <= n && n <= limit) { // NaN is neither
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// time returns a point in time, zero if absent or "". The recorder writes
// 2013-10-12T16:32:22-0800; RFC 3339 is understood too. Either may have a
// fraction of a second, which time.Parse takes without being told.
func (f *fields) time(name string) time.Time {
	s := f.string(name)
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339} {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		// time.Parse lets offsets pass that JSON cannot express.
		if _, err := t.MarshalText(); err == nil {
			return t
		}
	}
	f.fail(name, "no time")
	return time.Time{}
}

func (f *fields) fail(name, is string) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s of %s is %s", ErrMalformed, name, f.of, is)
	}
}
