//go:build integration

package media

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpus returns the directory that scripts/corpus filled: $CORPUS, or one
// made now.
func corpus(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("CORPUS"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	out, err := exec.Command("../../scripts/corpus", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("scripts/corpus: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return dir
}

func TestCorpus(t *testing.T) {
	dir := corpus(t)
	t.Run("plain", func(t *testing.T) { eachFile(t, dir+"/plain", 40, identifiedAsFFprobeDoes) })
	t.Run("encrypted", func(t *testing.T) { eachFile(t, dir+"/encrypted", 30, refused) })
}

func eachFile(t *testing.T, dir string, atLeast int, check func(t *testing.T, path string)) {
	files, err := filepath.Glob(dir + "/*")
	if err != nil || len(files) < atLeast {
		t.Fatalf("%d files in %s, want %d: %v", len(files), dir, atLeast, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) { check(t, path) })
	}
}

func identifyFile(t *testing.T, path string) (Format, error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r := &bounded{r: file, size: info.Size()}
	f, err := Identify(r, info.Size())
	r.check(t)
	return f, err
}

func refused(t *testing.T, path string) {
	f, err := identifyFile(t, path)
	if !errors.Is(err, ErrEncrypted) && !errors.Is(err, ErrUnrecognized) {
		t.Fatalf("ciphertext identified as %+v, %v", f, err)
	}
	t.Log(err)
}

// identifiedAsFFprobeDoes compares codec, sample rate and channels with those
// of ffprobe, the container with the file's name.
func identifiedAsFFprobeDoes(t *testing.T, path string) {
	f, err := identifyFile(t, path)
	if err != nil {
		t.Fatal(err)
	}
	container, _, _ := strings.Cut(filepath.Base(path), "-")
	codec, rate, channels := ffprobe(t, path)
	if container == "mpegts" { // says no more than the codec
		rate, channels = 0, 0
	}
	if f.Container != container || f.Codec != codec || f.SampleRate != rate || f.Channels != channels {
		t.Errorf("got %+v, want %s %s %d %d", f, container, codec, rate, channels)
	}
	t.Logf("%+v", f)
}

func ffprobe(t *testing.T, path string) (codec string, rate, channels int) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "a:0", "-of", "json",
		"-show_entries", "stream=codec_name,sample_rate,channels", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Streams []struct {
			Codec    string `json:"codec_name"`
			Rate     string `json:"sample_rate"`
			Channels int
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Streams) != 1 {
		t.Fatalf("ffprobe: %v\n%s", err, out)
	}
	s := answer.Streams[0]
	if rate, err = strconv.Atoi(s.Rate); err != nil {
		t.Fatal(err)
	}
	return s.Codec, rate, s.Channels
}
