package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleFilesAreBoundedAndExpire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		idle, on := newIdleFiles(), newGeneration(0, Config{Timeout: time.Minute, MaxStuck: 1}, newSlots(1))
		put := func(name string) *os.File {
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			idle.put(name, &opened{file: file, on: on})
			return file
		}
		closed := func(f *os.File) bool {
			synctest.Wait()
			_, err := f.Stat()
			return err != nil
		}
		first := put("0")
		for i := range mostIdle {
			put(fmt.Sprint(1 + i))
		}
		if !closed(first) || idle.take("0") != nil {
			t.Error("the oldest one is still open")
		}
		if o := idle.take("7"); o == nil || idle.take("7") != nil {
			t.Error("a file is there not once")
		} else {
			o.close()
		}
		last := put("last")
		time.Sleep(idleFor - time.Second)
		if closed(last) {
			t.Error("closed before its time")
		}
		time.Sleep(2 * time.Second)
		if !closed(last) || len(idle.byName) != 0 || idle.byAge.Len() != 0 {
			t.Errorf("%d are left", idle.byAge.Len())
		}
		late := put("late")
		idle.close()
		if !closed(late) || !closed(put("later")) {
			t.Error("open after the end")
		}
	})
}
