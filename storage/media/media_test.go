package media

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// sample returns a file of testdata.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sampleNames lists the recordings in testdata.
func sampleNames(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.*")
	if err != nil || len(paths) == 0 {
		t.Fatal("no testdata", err)
	}
	for i, path := range paths {
		paths[i] = filepath.Base(path)
	}
	return paths
}

func TestIdentifyTellsWhatRealEncodersWrote(t *testing.T) {
	const (
		adpcm  = "browsers do not play ADPCM"
		uneven = "Safari before 18.4 does not play Ogg"
	)
	want := map[string]Format{
		"mp3.mp3":        {"audio/mpeg", "mp3", "mp3", "mp3", 8000, 1, 16000, true, ""},
		"info.mp3":       {"audio/mpeg", "mp3", "mp3", "mp3", 8000, 1, 16000, true, ""},
		"aac.m4a":        {"audio/mp4", "m4a", "mp4", "aac", 8000, 1, 16846, true, ""},
		"alac.m4a":       {"audio/mp4", "m4a", "mp4", "alac", 8000, 1, 0, true, "not every browser plays ALAC"},
		"h264.mp4":       {"video/mp4", "mp4", "mp4", "aac", 8000, 1, 16846, true, ""},
		"fragmented.mp4": {"video/mp4", "mp4", "mp4", "aac", 8000, 1, 16846, true, ""},
		"adts.aac":       {"audio/aac", "aac", "adts", "aac", 8000, 1, 0, true, ""},
		"ts.ts":          {"video/mp2t", "ts", "mpegts", "aac", 0, 0, 0, false, "browsers do not play MPEG transport streams"},
		"opus.opus":      {"audio/ogg", "opus", "ogg", "opus", 48000, 1, 0, true, uneven},
		"flac.oga":       {"audio/ogg", "ogg", "ogg", "flac", 8000, 1, 0, true, uneven},
		"speex.spx":      {"audio/ogg", "spx", "ogg", "speex", 8000, 1, 0, false, "browsers do not play Speex"},
		"flac.flac":      {"audio/flac", "flac", "flac", "flac", 8000, 1, 0, true, ""},
		"webm.webm":      {"audio/webm", "webm", "webm", "opus", 48000, 1, 0, true, ""},
		"mka.mka":        {"audio/x-matroska", "mka", "matroska", "opus", 48000, 1, 0, true, "not every browser plays Matroska"},
		"gsm.wav":        {"audio/wav", "wav", "wav", "gsm_ms", 8000, 1, 13000, false, "browsers do not play GSM 6.10"},
		"ima.wav":        {"audio/wav", "wav", "wav", "adpcm_ima_wav", 8000, 1, 32443, false, adpcm},
		"ms.wav":         {"audio/wav", "wav", "wav", "adpcm_ms", 8000, 1, 32768, false, adpcm},
		"amr.amr":        {"audio/amr", "amr", "amr", "amr_nb", 8000, 1, 0, false, "browsers do not play AMR"},
		"asf.wma":        {"audio/x-ms-wma", "wma", "asf", "wmav2", 8000, 1, 24000, false, "browsers do not play Windows Media"},
	}
	for _, name := range sampleNames(t) {
		got, err := identify(t, sample(t, name))
		if err != nil || got != want[name] {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want[name])
		}
	}
}

func TestIdentifySurvivesEveryTruncation(t *testing.T) {
	for _, name := range sampleNames(t) {
		b := sample(t, name)
		for n := range b {
			_, err := identify(t, b[:n])
			if err != nil && !isVerdict(err) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
}

func TestIdentifyRefusesAnnouncementsBeforeRandomBytes(t *testing.T) {
	for _, name := range sampleNames(t) {
		b := sample(t, name)
		for n := range min(len(b), 16) {
			mixed := append(b[:n:n], randomBytes(8<<10)...)
			if f, err := identify(t, mixed); err == nil {
				t.Errorf("%d bytes of %s before random ones: %+v", n, name, f)
			}
		}
	}
}

func TestIdentifyReturnsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		r    io.ReaderAt
		want error
	}{
		"error":          {failing{broken}, broken},
		"end of file":    {failing{io.EOF}, io.ErrUnexpectedEOF},
		"nothing at all": {failing{nil}, io.ErrUnexpectedEOF},
		"timeout":        {failing{iotest.ErrTimeout}, iotest.ErrTimeout},
	} {
		_, err := Identify(test.r, 100)
		if !errors.Is(err, test.want) || isVerdict(err) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestIdentifyNeedsOneReadForAnOrdinaryRecording(t *testing.T) {
	b := wav("RIFF", chunkOf("fmt ", pcm16), chunkOf("data", make([]byte, 100<<10)))
	r := newBounded(b)
	if _, err := Identify(r, r.size); err != nil || r.reads != 1 || r.read != 32<<10 {
		t.Fatalf("%d reads of %d bytes, %v", r.reads, r.read, err)
	}
}

func TestIdentifyFindsNothingInNoBytes(t *testing.T) {
	if _, err := identify(t, nil); !errors.Is(err, ErrEmpty) {
		t.Fatal(err)
	}
	if _, err := Identify(failing{nil}, -1); err == nil || isVerdict(err) {
		t.Fatal(err)
	}
}

// failing reads nothing and answers with an error, or with none.
type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }
