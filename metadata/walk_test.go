package metadata

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// splits asserts that all that value holds is what package json says that it is.
func splits(t *testing.T, value []byte) {
	t.Helper()
	switch kind(value) {
	case "an object":
		var want map[string]json.RawMessage
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		got := make(map[string]json.RawMessage)
		for name, member := range members(value) {
			got[name] = member // the last one counts, where one stands twice
			splits(t, member)
		}
		if !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	case "an array":
		var want []json.RawMessage
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		got := slices.Collect(elements(value))
		if !slices.EqualFunc(got, want, func(a []byte, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
		for _, element := range got {
			splits(t, element)
		}
	case "a string":
		var want string
		w := walk{data: value}
		if err := json.Unmarshal(value, &want); err != nil || unquote(w.value()) != want {
			t.Errorf("%s: %q, %v", value, want, err)
		}
	}
}

func FuzzWalk(f *testing.F) {
	for _, data := range []string{
		`{}`, `[]`, ` [ ] `, `"a"`, `-1.5e3`, `null`,
		`{"a": 1, "b": [true, false ,null], "c": {"d": "]}"}, "a": {}}`,
		"\t[ 1 ,2\n, [[]],{\"\":-0 } ,\"\\\\\" ]\r\n",
		`{"\"{": "\\\"}", "\u0061": "\ud83d\ude00", "b":"\ud83d"}`,
		"{\"\xff\": \"\xff\u00e9\", \"\u00e9\":\"\\u00e9\"}",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := wellFormed(data); (err == nil) != json.Valid(data) {
			t.Fatal(err)
		}
		if json.Valid(data) && len(data) < 10_000 { // every level is read again
			splits(t, data)
		}
	})
}
