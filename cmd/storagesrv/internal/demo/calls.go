package demo

import (
	"fmt"
	"net/http"
	"strings"
)

// What file_path starts with on the two storages of the demo.
const (
	onMount = "/var/recordings/"
	onSFTP  = "/var/archive/"
)

// A Call is one that the demo's recorder knows, or is asked for in vain, and
// what the server has to say to a request for it.
type Call struct {
	ID    string
	About string // what is particular about it, in a few words
	Files []File // none: the recorder does not know the call
	State int    // call_state; 4 is connected
	Answer
}

// A File is one recording of a call.
type File struct {
	ID        string
	Path      string // file_path
	Encrypted bool   // says the recorder
	// Content is what is on the storage; nil: nothing is.
	Content Content
	// Played is what the recorder itself plays, if that is something else.
	Played Content
}

// Recording is what is heard: what is on the storage, or what the recorder plays.
func (f File) Recording() []byte {
	if f.Played != nil {
		return f.Played()
	}
	return f.Content()
}

// An Answer is what GET /recordings/{id} has to get.
type Answer struct {
	Status  int
	Type    string // Content-Type
	Problem string // why not, as urn:storagesrv:problem:... names it; "" if the recording is served
}

func (a Answer) String() string {
	if a.Problem != "" {
		return fmt.Sprint(a.Status, " ", a.Problem)
	}
	return fmt.Sprint(a.Status, " ", a.Type)
}

func served(contentType string) Answer { return Answer{http.StatusOK, contentType, ""} }

func refused(status int, problem string) Answer {
	return Answer{status, "application/problem+json", problem}
}

func one(path string, content Content) []File {
	return []File{{ID: "01", Path: path, Content: content}}
}

// Where says which storage the recorder points to.
func (c Call) Where() string {
	switch {
	case len(c.Files) == 0:
		return "nowhere"
	case strings.HasPrefix(c.Files[0].Path, onSFTP):
		return "SFTP"
	}
	return "mount"
}

// Video reports whether there is something to look at.
func (c Call) Video() bool { return strings.HasPrefix(c.Type, "video/") }

// Encrypted reports whether the recorder has to play the call: what it plays is
// encrypted, too, if the call is refused.
func (c Call) Encrypted() bool {
	return c.Status == http.StatusUnprocessableEntity || len(c.Files) > 0 && c.Files[0].Played != nil
}

// Minutes are places to jump to in a long recording: tens of megabytes, so that
// a player has to ask for a range to get there.
func (c Call) Minutes() []int {
	if strings.HasPrefix(c.ID, "hour-") {
		return []int{7, 30, 42, 58}
	}
	return nil
}

// Calls are all calls of the demo: first those that play, then those that do
// not. They must not be changed.
var Calls = []Call{
	{ID: "mp3-on-mount", About: "MP3 as the recorder writes it: 8 kHz, 16 kbit/s",
		Files: one(onMount+"2026/plain.mp3", sample("speech.mp3")), Answer: served("audio/mpeg")},
	{ID: "mp3-on-sftp", About: "the same MP3, over SSH",
		Files: one(onSFTP+"2026/plain.mp3", sample("speech.mp3")), Answer: served("audio/mpeg")},
	{ID: "e03f497d-bdff-1019-102d-68be3896f081", About: "an id as the recorder makes them",
		Files: one(onSFTP+"2026/e03f497d.mp3", sample("speech.mp3")), Answer: served("audio/mpeg")},
	{ID: "hour-on-mount", About: "an hour of G.711 µ-law WAV, 28.8 MB: jump in it",
		Files: one(onMount+"2026/hour.wav", hourWAV), Answer: served("audio/wav")},
	{ID: "hour-on-sftp", About: "the same hour, over SSH",
		Files: one(onSFTP+"2026/hour.wav", hourWAV), Answer: served("audio/wav")},
	{ID: "screen-on-mount", About: "a recorded screen, MP4 with H.264 and AAC",
		Files: one(onMount+"screen.mp4", sample("screen.mp4")), Answer: served("video/mp4")},
	{ID: "wav-pcm-on-mount", About: "WAV, 16-bit PCM",
		Files: one(onMount+"2026/pcm.wav", pcmWAV), Answer: served("audio/wav")},
	{ID: "wav-pcm-on-sftp", About: "WAV, 16-bit PCM",
		Files: one(onSFTP+"2026/pcm.wav", pcmWAV), Answer: served("audio/wav")},
	{ID: "wav-ulaw-on-mount", About: "WAV, G.711 µ-law",
		Files: one(onMount+"2026/mu-law.wav", muLawWAV), Answer: served("audio/wav")},
	{ID: "wav-ulaw-on-sftp", About: "WAV, G.711 µ-law",
		Files: one(onSFTP+"2026/mu-law.wav", muLawWAV), Answer: served("audio/wav")},
	{ID: "decrypted-by-recorder", About: "encrypted on the storage: the recorder sends what it plays",
		Files:  []File{{ID: "01", Path: onMount + "decrypted.mp3", Content: enciphered(sample("speech.mp3"), 0), Played: sample("speech.mp3")}},
		Answer: served("audio/mpeg")},
	{ID: "in-progress", About: "still going on: plays what there is so far",
		Files: one(onMount+"growing.mp3", cut(sample("speech.mp3"), 10_000)), State: 4, Answer: served("audio/mpeg")},
	{ID: "gsm-on-mount", About: "WAV, GSM 6.10: a download, as no browser plays it",
		Files: one(onMount+"gsm.wav", sample("speech-gsm.wav")), Answer: served("audio/wav")},

	{ID: "encrypted-openssl", About: "encrypted by openssl enc, which leaves a mark",
		Files: one(onMount+"openssl.mp3", openSSL(sample("speech.mp3"))), Answer: refused(422, "encrypted")},
	{ID: "encrypted-samples", About: "a plain WAV header before encrypted samples",
		Files: one(onMount+"samples.wav", enciphered(pcmWAV, pcmHeader)), Answer: refused(422, "encrypted")},
	{ID: "encrypted-raw", About: "raw AES-CTR on SFTP, which has no mark at all",
		Files: one(onSFTP+"raw.mp3", enciphered(sample("speech.mp3"), 0)), Answer: refused(422, "unrecognized")},
	{ID: "marked-encrypted", About: "the recorder says that it is encrypted",
		Files:  []File{{ID: "01", Path: onMount + "marked.mp3", Encrypted: true, Content: openSSL(sample("speech.mp3"))}},
		Answer: refused(422, "encrypted")},
	{ID: "hostile-path", About: "its file_path leads to /etc/passwd",
		Files: one(onMount+"../../etc/passwd", nil), Answer: refused(502, "unmapped-path")},
	{ID: "missing-on-mount", About: "its file is not there",
		Files: one(onMount+"gone.mp3", nil), Answer: refused(404, "recording-missing")},
	{ID: "missing-on-sftp", About: "its file is not there",
		Files: one(onSFTP+"gone.mp3", nil), Answer: refused(404, "recording-missing")},
	{ID: "just-started", About: "going on, and nothing is written yet",
		Files: one(onMount+"started.mp3", nil), State: 4, Answer: refused(409, "recording-in-progress")},
	{ID: "several-files", About: "an MP3 and a WAV: each plays with ?file_id=",
		Files: []File{
			{ID: "01", Path: onMount + "part-1.mp3", Content: sample("speech.mp3")},
			{ID: "02", Path: onSFTP + "part-2.wav", Content: muLawWAV},
		}, Answer: refused(409, "not-joinable")},
	{ID: "nothing-recorded", About: "a WAV header and nothing else",
		Files: one(onMount+"nothing.wav", emptyWAV), Answer: refused(404, "no-recording")},
	{ID: "unknown", About: "the recorder does not know this call", Answer: refused(404, "call-not-found")},
}
