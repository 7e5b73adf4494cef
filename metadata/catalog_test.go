package metadata_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"storagesrv/metadata"
)

const catalogCall = `{"call_id": "c1", "more": {"call": 1}, "files": [{"file_id": "01", "file_path": "/a", "enc": 1}]}`

func TestCatalog(t *testing.T) {
	for _, data := range []string{
		`{"total": 1, "calls": [` + catalogCall + `]}`,
		`{"calls": [{"call": ` + catalogCall + `}], "next": [null, {"calls": 3}]}`,
		`[{"call": ` + catalogCall + `}]`,
		` [ ` + catalogCall + ` ] `,
		`{"call": ` + catalogCall + `}`,
	} {
		catalog, err := metadata.NewCatalog("calls.json", []byte(data), "enc")
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		call, err := catalog.Call(t.Context(), "c1")
		if err != nil || catalog.Len() != 1 {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if f := call.Files[0]; f.ID != "01" || f.Path != "/a" || !f.Encrypted {
			t.Errorf("%s: %+v", data, call)
		}
		if string(call.Raw) != `{"call":`+catalogCall+`}` || call.Fetched.IsZero() {
			t.Errorf("%s: raw %s, fetched %v", data, call.Raw, call.Fetched)
		}
		_, err = catalog.Call(t.Context(), "c2")
		wantError(t, err, metadata.ErrNotFound)
		if !catalog.Health().Up {
			t.Errorf("%s: down", data)
		}
	}
	for data, calls := range map[string]int{`[]`: 0, `{"calls": []}`: 0, `[{"call_id": "c1", "call_state": 4, "files": []}]`: 1} {
		if catalog, err := metadata.NewCatalog("calls.json", []byte(data), ""); err != nil || catalog.Len() != calls {
			t.Errorf("%s: %v", data, err)
		}
	}
}

func TestCatalogNamesTheLine(t *testing.T) {
	for data, want := range map[string]string{
		"":                                     "calls.json:1: ",
		"[\n{},\n]":                            "calls.json:3: ",
		"[\n" + catalogCall + "\n,{\n\n":       "calls.json:5: ",
		"3":                                    "calls.json:1: ",
		"{}":                                   "calls.json:1: ",
		"{\n\"calls\":\n{}}":                   "calls.json:3: ",
		"{\n\"call\":\n3}":                     "calls.json:3: ",
		"[\n" + catalogCall + "\n,\n{}\n]":     "calls.json:4: ",
		"[\n" + catalogCall + ",\n\n3]":        "calls.json:4: ",
		"[\n{\"files\":[]}]":                   "calls.json:2: ",
		"[\n{\"call_id\":\"_\",\"files\":[]}]": "calls.json:2: ",
		"[" + catalogCall + ",\n" + strings.ReplaceAll(strings.ReplaceAll(catalogCall, "c1", "c2"), "file_path", "path") + "]": "calls.json:2: ",
		"[" + catalogCall + ",\n{\"call\":" + catalogCall + "}]":                                                               "calls.json:2: ",
		"[\n\n{\"call_id\":\"c\",\"files\":[],\"x\":\"" + strings.Repeat("a", 1<<20) + "\"}]":                                  "calls.json:3: ",
	} {
		catalog, err := metadata.NewCatalog("calls.json", []byte(data), "")
		if !errors.Is(err, metadata.ErrMalformed) || catalog != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: %v, want %s", data, err, want)
		}
	}
}

func TestLoadCatalog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "calls.json")
	if _, err := metadata.LoadCatalog(name, ""); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(name, []byte("["+catalogCall+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if catalog, err := metadata.LoadCatalog(name, ""); err != nil || catalog.Len() != 1 {
		t.Error(err)
	}
	// The holes of a sparse file are no JSON, but size comes first.
	if err := os.Truncate(name, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	_, err := metadata.LoadCatalog(name, "")
	if !errors.Is(err, metadata.ErrMalformed) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}
