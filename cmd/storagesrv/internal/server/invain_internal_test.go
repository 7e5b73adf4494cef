package server

import (
	"io"
	"testing"

	"storagesrv/metadata"
)

// Whose fault it is that no byte came is told by where it was to come from.
func TestWhatIsReadInVainIsTheFaultOfWhereItIsReadFrom(t *testing.T) {
	for want, rec := range map[*problem]*recording{storageUnavailable: {}, metadataUnavailable: {fetched: new(metadata.Validator)}} {
		s := &sender{response: &response{}, rec: rec, readErr: io.ErrUnexpectedEOF}
		if got, _ := problemOf(s.inVain(t.Context(), nil)); got != want {
			t.Errorf("%s, want %s", got.name, want.name)
		}
	}
}
