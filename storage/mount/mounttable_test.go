//go:build linux

package mount

import (
	"os"
	"testing"
)

func TestMountsThatCoverARoot(t *testing.T) {
	for _, c := range []struct {
		dir, root string
		want      bool
	}{
		{"/", "/mnt/recordings", true},
		{"/mnt", "/mnt/recordings", true},
		{"/mnt/recordings", "/mnt/recordings", true},
		{"/mnt/rec", "/mnt/recordings", false},
		{"/mnt/recordings/a", "/mnt/recordings", false},
	} {
		if got := covers(c.dir, c.root); got != c.want {
			t.Errorf("%s covers %s: %v", c.dir, c.root, got)
		}
	}
	if mountTable("/") == "" {
		t.Error("nothing is mounted at /")
	}
}

func TestTypeOfAFileSystem(t *testing.T) {
	for path, want := range map[string]string{"/proc/self": "proc", "/sys": "sysfs"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := typeOf(info); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
