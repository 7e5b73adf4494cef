//go:build integration

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"storagesrv/cmd/storagesrv/internal/demo"
)

func TestChromiumPlaysWhatThePageShows(t *testing.T) {
	d := startDemo(t)
	b := startBrowser(t, d.url)
	b.do(t, chromedp.Navigate(d.url+"/"))
	b.do(t, chromedp.Evaluate[chromedp.Void](helpers))
	for _, call := range demo.Calls {
		t.Run(call.ID, func(t *testing.T) {
			output := b.output(t, call.ID)
			switch {
			case call.Problem != "":
				b.checkRefused(t, call, output)
			case call.ID == "gsm-on-mount":
				b.checkDownloadOnly(t, call, output)
			case call.Minutes() != nil:
				b.checkSeeks(t, call)
			default:
				b.checkPlays(t, call)
			}
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		t.Errorf("the browser says: %s", complaint)
	}
}

// A browser is Chromium with one tab.
type browser struct {
	ctx context.Context // what chromedp knows the tab by
	url string          // of the demo

	mu         sync.Mutex
	responses  []*network.Response // guarded by mu
	complaints []string            // guarded by mu
}

// browserTimeout is what the browser may take for one thing on a busy machine.
// Most are done within a second of playing time.
const browserTimeout = 45 * time.Second

// startBrowser starts a browser until the test ends. Its profile is where
// chromedp makes it, in our TMPDIR, which is the test's: chromedp sees to it that
// no process with that profile lives on, and startDemo that nothing is left.
func startBrowser(t *testing.T, url string, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoInheritEnv,
		chromedp.Env("PATH="+os.Getenv("PATH"), "HOME="+home, "TMPDIR="+home),
		chromedp.NoSandbox, // we may be root
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("mute-audio", true),
	)
	// t.Context ends before the cleanup, which is to close the browser gently.
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(options, more...)...)
	t.Cleanup(stop)
	b := &browser{url: url}
	b.ctx, _ = chromedp.NewContext(allocator, chromedp.WithListener(b.listen), chromedp.WithErrorf(t.Logf))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(b.ctx, browserTimeout)
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("closing the browser: %v", err)
		}
	})
	late := time.AfterFunc(browserTimeout, stop) // a deadline of the context would be that of the browser
	defer late.Stop()
	if err := chromedp.Do(b.ctx); err != nil {
		t.Fatalf("%s did not start within %v: %v", path, browserTimeout, err)
	}
	return b
}

// listen is called before the reply to a command that comes after the event.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *network.EventResponseReceived:
		b.responses = append(b.responses, event.Response)
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, event.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if event.Entry.Source != log.EntrySourceNetwork { // which has each refusal
			b.complaints = append(b.complaints, event.Entry.Text)
		}
	}
}

func (b *browser) do(t *testing.T, action chromedp.Action[chromedp.Void]) {
	t.Helper()
	browse(t, b, action)
}

func browse[T any](t *testing.T, b *browser, action chromedp.Action[T]) T {
	t.Helper()
	// The deadline of helpers comes first, and can tell more.
	ctx, cancel := context.WithTimeout(b.ctx, browserTimeout+5*time.Second)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// helpers are functions for the page. A player is asked again at each of its
// events whether it is there yet.
var helpers = fmt.Sprintf(`
const article = (id) => document.querySelector('article[data-call="' + id + '"]');
const player = (id) => document.querySelector('audio[id="' + id + '"]') ?? article(id).querySelector("audio, video");
const state = (p) => ({
	currentTime: p.currentTime, duration: p.duration, readyState: p.readyState, paused: p.paused,
	frames: p.getVideoPlaybackQuality?.().totalVideoFrames ?? 0, error: p.error?.message ?? "",
});

function deadline(what, told) {
	const late = Promise.withResolvers();
	late.timer = setTimeout(() => late.reject(new Error(what + ": not in time; " + told())), %d);
	return late;
}

async function until(what, p, done) {
	const events = ["timeupdate", "playing", "seeked", "canplay", "error", "stalled"];
	const late = deadline(what, () => JSON.stringify(state(p)));
	const listening = new AbortController();
	const arrived = new Promise((resolve, reject) => {
		const look = () => {
			if (p.error) reject(new Error(what + ": " + JSON.stringify(state(p))));
			if (done(p)) resolve(state(p));
		};
		for (const event of events) p.addEventListener(event, look, { signal: listening.signal });
		look();
	});
	return Promise.race([arrived, late.promise]).finally(() => { clearTimeout(late.timer); listening.abort(); });
}

async function seek(p, to) {
	let seeked = false;
	p.addEventListener("seeked", () => { seeked = true; }, { once: true });
	p.currentTime = to;
	return until("seeked to " + to, p, () => seeked);
}

async function described(id) {
	const output = article(id).querySelector("output");
	const late = deadline("text about " + id, () => output.textContent);
	let observer;
	const arrived = new Promise((resolve) => {
		const look = () => output.textContent !== "…" && resolve(output.textContent);
		observer = new MutationObserver(look);
		observer.observe(output, { childList: true, characterData: true, subtree: true });
		look();
	});
	return Promise.race([arrived, late.promise]).finally(() => { clearTimeout(late.timer); observer.disconnect(); });
}
`, browserTimeout.Milliseconds())

func await[T any](t *testing.T, b *browser, format string, args ...any) T {
	t.Helper()
	return browse(t, b, chromedp.Evaluate[T](fmt.Sprintf(format, args...), chromedp.EvalAwaitPromise))
}

// output returns what the page says about a call.
func (b *browser) output(t *testing.T, id string) string {
	t.Helper()
	return await[string](t, b, "described(%q)", id)
}

// A player is the state of an audio or video element.
type player struct {
	CurrentTime, Duration float64 // seconds
	ReadyState            int     // 3: there is what comes next
	Paused                bool
	Frames                int // of video, decoded so far
	Error                 string
}

// press starts what has not been played before, as a person does who has no mouse.
func (b *browser) press(t *testing.T, id string) {
	t.Helper()
	b.do(t, chromedp.Focus(chromedp.JSPath(fmt.Sprintf("player(%q)", id))))
	b.do(t, chromedp.KeyEvent(" "))
	await[player](t, b, "until('play', player(%q), (p) => !p.paused)", id)
}

// click presses the play button of a player, as a person does who has a mouse: it
// is the leftmost of its controls.
func (b *browser) click(t *testing.T, id string) {
	t.Helper()
	b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("player(%q).scrollIntoView({block: 'center', behavior: 'instant'})", id)))
	type point struct{ X, Y float64 }
	at := await[point](t, b, "(({x, y, height}) => ({x: x + height / 2, y: y + height / 2}))(player(%q).getBoundingClientRect())", id)
	b.do(t, chromedp.MouseClickXY(at.X, at.Y))
	await[player](t, b, "until('play', player(%q), (p) => !p.paused)", id)
}

// plays waits until the player is half a second beyond a time.
func (b *browser) plays(t *testing.T, id string, from float64) player {
	t.Helper()
	p := await[player](t, b, "until('plays on from %[2]g', player(%[1]q), (p) => p.currentTime > %[2]g + 0.5 && p.readyState >= 3)", id, from)
	if p.Paused || p.CurrentTime > from+browserTimeout.Seconds() {
		t.Errorf("half a second after %g: %+v", from, p)
	}
	return p
}

func (b *browser) pause(t *testing.T, id string) {
	t.Helper()
	b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("player(%q).pause()", id)))
}

func (b *browser) checkPlays(t *testing.T, call demo.Call) {
	b.press(t, call.ID)
	if p := b.plays(t, call.ID, 0); p.Frames > 0 != call.Video() {
		t.Errorf("%+v", p)
	}
	b.pause(t, call.ID)
}

// checkSeeks jumps to the middle as a script does, and then as the page's own
// button does. Neither place is in what is buffered from the start.
func (b *browser) checkSeeks(t *testing.T, call demo.Call) {
	b.press(t, call.ID)
	const hour, middle = 3600, 1800
	if p := b.plays(t, call.ID, 0); p.Duration != hour {
		t.Errorf("%+v", p)
	}
	p := await[player](t, b, "seek(player(%[1]q), player(%[1]q).duration / 2)", call.ID)
	if p.CurrentTime < middle || p.CurrentTime > middle+browserTimeout.Seconds() { // it plays on meanwhile
		t.Errorf("sought %d: %+v", middle, p)
	}
	b.plays(t, call.ID, middle)
	b.checkAskedFor(t, b.url+"/recordings/"+call.ID, middle)

	minute := call.Minutes()[len(call.Minutes())-1]
	b.do(t, chromedp.Click(chromedp.CSS(fmt.Sprintf(`article[data-call=%q] button[aria-label="Jump to minute %d"]`, call.ID, minute))))
	b.plays(t, call.ID, float64(60*minute))
	b.checkAskedFor(t, b.url+"/recordings/"+call.ID, 60*minute)
	b.pause(t, call.ID)
}

// checkAskedFor makes sure that the bytes from about a second of the hour on were
// asked for at an address, whatever its query, and that the answer was those alone.
func (b *browser) checkAskedFor(t *testing.T, url string, second int) {
	t.Helper()
	const rate, before = 8000, 1 << 20 // bytes a second; browsers begin a little earlier
	b.mu.Lock()
	defer b.mu.Unlock()
	var answers []string
	for _, response := range b.responses {
		if path, _, _ := strings.Cut(response.URL, "?"); path != url {
			continue
		}
		ranges, _ := response.Headers["Content-Range"].(string)
		answers = append(answers, fmt.Sprintf("%d %q", response.Status, ranges))
		var from int
		if _, err := fmt.Sscanf(ranges, "bytes %d-", &from); err != nil || response.FromDiskCache {
			continue
		}
		if at := second * rate; response.Status == http.StatusPartialContent && at-before < from && from < at+rate {
			return
		}
	}
	t.Errorf("no range from second %d on in what was answered: %s", second, answers)
}

// asked returns the first answer of an address with text in it; nil if there is
// none.
func (b *browser) asked(text string) *network.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, response := range b.responses {
		if strings.Contains(response.URL, text) {
			return response
		}
	}
	return nil
}

// forget forgets what has been answered so far.
func (b *browser) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.responses = nil
}

func (b *browser) checkRefused(t *testing.T, call demo.Call, output string) {
	want := fmt.Sprintf("%d %s. ", call.Status, call.Problem)
	if title, found := strings.CutPrefix(output, want); !found || title == "" {
		t.Errorf("the page says %q, want %q and why", output, want)
	}
	if await[bool](t, b, "player(%q) !== null", call.ID) {
		t.Error("there is a player")
	}
}

// checkDownloadOnly is about what is served, but not for browsers.
func (b *browser) checkDownloadOnly(t *testing.T, call demo.Call, output string) {
	if !strings.HasPrefix(output, "audio/wav, ") || !strings.Contains(output, "browser") {
		t.Errorf("the page says %q", output)
	}
	if !await[bool](t, b, "player(%q).checkVisibility() === false", call.ID) {
		t.Error("there is a player")
	}
}
