package metadata

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustDecode(t *testing.T, body string) *Call {
	t.Helper()
	call, err := decodeCall([]byte(body), "c1", "encrypted")
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return call
}

func TestDecodeCall(t *testing.T) {
	body := `{"meta":1,"call":{"call_id":"c1","from_number":"102","to_number":101,"call_state":"6","duration":"394.5",
		"start_time":"2013-10-12T16:32:22-0800","stop_time":"2013-10-12T16:38:56.5-0800","x":[],"files":[
		{"file_id":"02","start_time":"2013-10-13T00:38:00Z","stop_time":null,"file_path":"/b"},
		{"file_id":"03","start_time":"2013-10-12T16:32:22.25-0800","file_size":"7","file_path":null,"encrypted":"Yes"},
		{"file_id":"01","start_time":"2013-10-12T16:32:22.25-08:00","stop_time":"","file_size":132000,"file_path":"/a","Encrypted":true}]}}`
	zone := time.FixedZone("", -8*60*60)
	start := time.Date(2013, 10, 12, 16, 32, 22, 0, zone)
	want := &Call{
		ID: "c1", From: "102", To: "101", State: 6, Duration: 394*time.Second + 500*time.Millisecond,
		Start: start, Stop: start.Add(6*time.Minute + 34*time.Second + 500*time.Millisecond),
		Files: []File{
			{ID: "01", Start: start.Add(250 * time.Millisecond), Size: 132000, Path: "/a"},
			{ID: "03", Start: start.Add(250 * time.Millisecond), Size: 7, Encrypted: true},
			{ID: "02", Start: start.Add(5*time.Minute + 38*time.Second).UTC(), Path: "/b"},
		},
		Raw: []byte(body),
	}
	got := mustDecode(t, body)
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeCallTakesWhatDecidesNothing(t *testing.T) {
	for _, body := range []string{
		`{"call":{"files":[]}}`,
		`{"call":{"files":null}}`,
		`{"call":{"call_id":null,"from_number":null,"start_time":"","call_state":"","duration":null,"files":[]}}`,
		`{"call":{"call_id":"","call_state":"none","duration":"00:01:00","files":[]}}`,
		`{"call":{"call_state":4.5,"duration":-1,"files":[]}}`,
		`{"call":{"call_state":1e999,"duration":1e999,"files":[]}}`,
		`{"call":{"call_state":99999999999,"duration":"NaN","files":[]}}`,
	} {
		if call := mustDecode(t, body); !reflect.DeepEqual(call, &Call{ID: "c1", Files: []File{}, Raw: []byte(body)}) {
			t.Errorf("%s: %+v", body, call)
		}
	}
	if call := mustDecode(t, `{"call":{"files":[{`+manyIDs(maxFiles)+`}]}}`); len(call.Files) != maxFiles {
		t.Errorf("%d files", len(call.Files))
	}
	call := mustDecode(t, `{"call":{"files":[{"file_size":-1}]}}`)
	if !slices.Equal(call.Files, []File{{}}) {
		t.Errorf("files = %+v", call.Files)
	}
}

func TestDecodeCallRefuses(t *testing.T) {
	file := func(fields string) string { return `{"call":{"files":[{` + fields + `}]}}` }
	for _, body := range []string{
		``, ` `, `null`, `1`, `"call"`, `[]`, `{}`, `{"call":null}`, `{"call":[]}`, `{"Call":{"files":[]}}`,
		`<html>`, `{"call":{"files":[]}`, `{"call":{"files":[]}} x`, `{"call":{}}`,
		"{\"call\":{\"files\":[],\"x\":\"\xff\"}}",
		strings.Repeat("[", 20000),
		`{"call":` + strings.Repeat("[", 20000),
		`{"call":{"files":[],"x":"` + strings.Repeat("a", maxAnswer) + `"}}`,
		`{"call":{"files":{}}}`, `{"call":{"files":""}}`, `{"call":{"files":false}}`,
		`{"call":{"files":[null]}}`, `{"call":{"files":["01"]}}`, `{"call":{"files":[[]]}}`,
		`{"call":{"call_id":"C1","files":[]}}`,
		`{"call":{"call_id":1,"files":[]}}`,
		`{"call":{"from_number":{},"files":[]}}`,
		`{"call":{"to_number":true,"files":[]}}`,
		`{"call":{"call_state":[],"files":[]}}`,
		`{"call":{"call_state":true,"files":[]}}`,
		`{"call":{"duration":{},"files":[]}}`,
		`{"call":{"start_time":0,"files":[]}}`,
		`{"call":{"start_time":"yesterday","files":[]}}`,
		`{"call":{"start_time":"2013-10-12 16:32:22","files":[]}}`,
		`{"call":{"start_time":"2013-10-12T16:32:22+2400","files":[]}}`,
		file(`"file_id":1`), file(`"file_id":"a/b"`), file(`"file_id":"` + strings.Repeat("1", 65) + `"`),
		file(`"file_path":1`), file(`"file_path":[]`), file(`"file_size":[]`), file(`"stop_time":"never"`),
		file(`"file_id":"01"},{"file_id":"01"`),
		file(`"file_id":"01"},{"file_path":"/b"`),
		file(`},{`),
		file(manyIDs(maxFiles + 1)),
	} {
		call, err := decodeCall([]byte(body), "c1", "encrypted")
		if !errors.Is(err, ErrMalformed) || call != nil {
			t.Errorf("%.80s: %+v, %v", body, call, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%.80s: an error of %d bytes", body, len(err.Error()))
		}
	}
}

// manyIDs returns n files with an id each, to stand between { and }.
func manyIDs(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"file_id":"%d"`, i)
	}
	return strings.Join(ids, "},{")
}

func TestDecodeEncrypted(t *testing.T) {
	plain := []string{`null`, `false`, `0`, `-0`, `0.0`, `""`, `"false"`, `"FALSE"`, `"0"`, `"no"`, `"No"`}
	encrypted := []string{`true`, `1`, `-1`, `0.1`, `1e-999`, `"true"`, `"yes"`, `"aes"`, `" "`, `"none"`, `{}`, `[]`, `[false]`}
	for _, value := range slices.Concat(plain, encrypted) {
		call := mustDecode(t, `{"call":{"files":[{"encrypted": `+value+` }]}}`)
		if want := slices.Contains(encrypted, value); call.Files[0].Encrypted != want {
			t.Errorf("%s: encrypted = %t", value, !want)
		}
	}
	call, err := decodeCall([]byte(`{"call":{"files":[{"encrypted":true,"is_enc":0}]}}`), "c1", "is_enc")
	if err != nil || call.Files[0].Encrypted {
		t.Errorf("another field: %+v, %v", call, err)
	}
}

func TestInProgress(t *testing.T) {
	over := File{Stop: time.Unix(1, 0)}
	for _, test := range []struct {
		state int
		files []File
		want  bool
	}{
		{0, nil, false}, {0, []File{over}, false}, {0, []File{over, {}}, true},
		{1, nil, true}, {4, []File{over}, true}, {5, []File{over}, true},
		{6, nil, false}, {6, []File{over}, false}, {7, []File{{}}, true}, {8, []File{over}, false},
	} {
		call := Call{State: test.state, Files: test.files}
		if got := call.InProgress(); got != test.want {
			t.Errorf("state %d, files %+v: %t", test.state, test.files, got)
		}
	}
}

func FuzzDecodeCall(f *testing.F) {
	for _, body := range []string{
		`{"call":{"call_id":"c1","from_number":"102","call_state":4,"duration":"1.5","start_time":"2013-10-12T16:32:22-0800","files":[
			{"file_id":"02","start_time":"2013-10-12T16:32:22.5Z","stop_time":null,"file_size":132000,"file_path":"/a","encrypted":"no"},
			{"file_id":"01","start_time":"2013-10-12T16:32:22+01:00","file_path":"C:\\b"}]}}`,
		`{"call":{"call_id":null,"call_state":"6","files":[{}]}}`,
		`{"call":{"files":null}}`,
		`{"call":{"files":[{"file_id":"1"},{"file_id":"1"}]}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		call, err := decodeCall(body, "c1", "encrypted")
		if err != nil {
			if call != nil || !errors.Is(err, ErrMalformed) || len(err.Error()) > 600 {
				t.Fatalf("%+v, %v", call, err)
			}
			return
		}
		if call.ID != "c1" || len(call.Raw) > maxAnswer || len(call.Files) > maxFiles {
			t.Fatalf("%+v", call)
		}
		if call.State < 0 || call.Duration < 0 {
			t.Fatalf("state %d, duration %v", call.State, call.Duration)
		}
		sorted := slices.IsSortedFunc(call.Files, func(a, b File) int {
			return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID))
		})
		if !sorted {
			t.Fatalf("not sorted: %+v", call.Files)
		}
		ids := make(map[string]bool)
		for _, file := range call.Files {
			if ids[file.ID] || file.Size < 0 || !ValidFileID(file.ID) && len(call.Files) > 1 {
				t.Fatalf("%+v", call.Files)
			}
			ids[file.ID] = true
			for _, at := range []time.Time{call.Start, call.Stop, file.Start, file.Stop} {
				if _, err := at.MarshalJSON(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if call.State == 4 && !call.InProgress() {
			t.Fatal("connected, and not in progress")
		}
	})
}

func TestDecodeCallRefusesAMemberThatStandsTwice(t *testing.T) {
	for _, body := range []string{
		`{"call": {"files": [{"file_path": "/a", "encrypted": true, "encrypted": false}]}}`,
		`{"call": {"files": []}, "call": {"files": []}}`,
		`{"call": {"files": [], "files": []}}`,
	} {
		if _, err := decodeCall([]byte(body), "c1", "encrypted"); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", body, err)
		}
	}
}
