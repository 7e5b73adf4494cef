//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"time"
)

// options say what to measure, and how much of it.
type options struct {
	runs       int
	only       *regexp.Regexp // of "case/peer"
	out        string
	storagesrv string // the binary

	size
}

// A size is how much is measured.
type size struct {
	quick           bool
	stream          int64         // bytes of one stream
	streamCap       time.Duration // a slower one is cut, and its rate is that until then
	seeks           int           // files of the first-byte case
	streams         int           // at a time
	streamsEach     int64         // bytes
	listeners       int
	listenersRclone int           // rclone takes some 10 MiB each
	listen          time.Duration // for so long
	arrive          time.Duration // from the first listener to the last

	mount mountSize
}

// A mountSize is how much is measured over a mount.
type mountSize struct {
	stream    int64         // bytes of the file that is streamed
	streams   time.Duration // it is streamed for so long
	files     int           // that ranges are of, or that are played whole
	warm      time.Duration // requests before those that count
	load      time.Duration // requests that count
	listeners int
	listen    time.Duration
	arrive    time.Duration
}

var (
	fullSize = size{
		stream: 256 << 20, streamCap: 10 * time.Second, seeks: 9, streams: 50, streamsEach: 20e6,
		listeners: 1000, listenersRclone: 1000, listen: 25 * time.Second, arrive: 5 * time.Second,
		mount: mountSize{
			stream: 1 << 30, streams: 3 * time.Second, files: 1000, warm: time.Second, load: 3 * time.Second,
			listeners: 1000, listen: 8 * time.Second, arrive: 2 * time.Second,
		},
	}
	quickSize = size{
		quick: true, stream: 64 << 20, streamCap: 3 * time.Second, seeks: 5, streams: 50, streamsEach: 5e6,
		listeners: 300, listenersRclone: 100, listen: 8 * time.Second, arrive: 2 * time.Second,
		mount: mountSize{
			stream: 512 << 20, streams: time.Second, files: 1000, warm: 500 * time.Millisecond, load: time.Second,
			listeners: 1000, listen: 3 * time.Second, arrive: time.Second,
		},
	}
)

// cacheMemory is what storagesrv may keep, by default: cache.memory.
const cacheMemory = 256 << 20

var errUsage = errors.New("wrong usage")

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{size: fullSize}
	flags := flag.NewFlagSet("scripts/bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.runs, "runs", 0, "`number` of runs (default 5, or 2 if quick)")
	flags.StringVar(&o.out, "out", "dist/bench", "`directory` for bench.md, bench.json and the plots")
	flags.StringVar(&o.storagesrv, "storagesrv", "dist/storagesrv", "`binary` to measure")
	quick := flags.Bool("quick", false, "less of everything, in about four minutes")
	only := flags.String("only", "", "`pattern` of CASE/PEER, such as ^stream-10ms/rclone or ^mount: a regular expression")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, errUsage // flags said it
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil || flags.NArg() > 0 || o.runs < 0 {
		fmt.Fprintln(stderr, "benchmark: wrong arguments:", flags.Args(), err)
		return nil, errUsage
	}
	if *quick {
		o.size = quickSize
	}
	if o.runs == 0 {
		o.runs = 5
		if o.quick {
			o.runs = 2
		}
	}
	return o, nil
}

// String tells the reader of the report what was measured.
func (o *options) String() string {
	text := fmt.Sprintf("Runs: %d.", o.runs)
	if o.quick {
		text += " Quick: rough figures."
	}
	return text
}
