package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"storagesrv/cmd/storagesrv/internal/spool"
)

// fillForEver is the variable that makes this program fill a spool in the
// directory that it names, until it is killed.
const fillForEver = "FILL_FOR_EVER"

func keepFilling() {
	s, err := spool.New(spool.Config{Dir: os.Getenv(fillForEver), Size: mib})
	if err != nil {
		panic(err)
	}
	s.KeepNames()
	f := s.Fill(context.Background(), "there", source(random(1000)))
	io.ReadAll(f)
	r, w := io.Pipe()
	s.Fill(context.Background(), "coming", spool.Source{Body: newBody(r), Size: 1000})
	w.Write(random(500))
	w.Write(random(1)) // the first are written then
	fmt.Println("filling")
	time.Sleep(time.Hour) // or until it is killed
}

// startFilling returns a process that fills a spool in dir.
func startFilling(t *testing.T, dir string) *os.Process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), fillForEver+"="+dir)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "filling\n" {
		t.Fatalf("it says %q: %v", line, err)
	}
	return command.Process
}

func TestWhatAKilledProcessLeftIsRemovedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	var others []string
	for _, name := range []string{"storagesrv-spool-.txt", "spool-1.tmp", "other-storagesrv-spool-1.tmp", "storagesrv-spool-1.tmp.bak"} {
		others = append(others, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	directory, link := filepath.Join(dir, "storagesrv-spool-dir.tmp"), filepath.Join(dir, "storagesrv-spool-link.tmp")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(others[0], link); err != nil {
		t.Fatal(err)
	}
	others = append(others, directory, link)
	slices.Sort(others)

	killed, alive := startFilling(t, dir), startFilling(t, dir)
	if n := len(filesIn(dir)) - len(others); n != 4 {
		t.Fatalf("%d files of spools", n)
	}
	killed.Kill()
	killed.Wait()
	newSpoolIn(t, dir)
	if n := len(filesIn(dir)) - len(others); n != 2 {
		t.Errorf("%d files of the spool that is in use", n)
	}
	alive.Kill()
	alive.Wait()
	newSpoolIn(t, dir)
	if left := filesIn(dir); !slices.Equal(left, others) {
		t.Errorf("left: %s", strings.Join(left, " "))
	}
}

func newSpoolIn(t *testing.T, dir string) {
	t.Helper()
	s, err := spool.New(spool.Config{Dir: dir, Size: mib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
}

func TestFilesHaveNoNames(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.New(spool.Config{Dir: dir, Size: mib})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := s.Fill(t.Context(), "a", source(random(1000)))
	defer f.Close()
	if _, err := io.ReadAll(f); err != nil {
		t.Fatal(err)
	}
	if files := filesIn(dir); len(files) > 0 {
		t.Errorf("%s", files)
	}
}
