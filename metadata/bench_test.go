package metadata_test

import (
	"bytes"
	"fmt"
	"testing"

	"storagesrv/metadata"
)

// BenchmarkCatalog reads a catalog of 1,000 calls, as at a start.
func BenchmarkCatalog(b *testing.B) {
	var catalog bytes.Buffer
	catalog.WriteString(`{"calls": [`)
	for i := range 1000 {
		if i > 0 {
			catalog.WriteString(", ")
		}
		fmt.Fprintf(&catalog, `{"call_id": "call-%d", "from_number": "102", "to_number": "101", "duration": 394, "files": [{"file_id": "01",
			"file_path": "/var/recordings/20131012/%[1]d.mp3", "start_time": "2013-10-12T16:32:22-0800", "stop_time": "2013-10-12T16:38:56-0800"}]}`, i)
	}
	catalog.WriteString("]}")
	b.SetBytes(int64(catalog.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := metadata.NewCatalog("calls.json", catalog.Bytes(), ""); err != nil {
			b.Fatal(err)
		}
	}
}
