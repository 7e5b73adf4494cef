package mount

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mountTable returns the lines about root of what the kernel has mounted, the
// last of which is what is there. Reading it touches no mount. Lines are those
// of proc_pid_mountinfo(5), where the fifth field is the mount point.
func mountTable(root string) string {
	var lines strings.Builder
	for line, point := range mountPoints() {
		if covers(point, root) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// hasMountsBelow reports whether something is mounted below root: a recording
// there is on another file system than root is.
func hasMountsBelow(root string) bool {
	for _, point := range mountPoints() {
		if point != root && covers(root, point) {
			return true
		}
	}
	return false
}

// mountPoints returns the lines of what is mounted, and where.
func mountPoints() iter.Seq2[string, string] {
	return func(yield func(line, point string) bool) {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return
		}
		for line := range strings.Lines(string(table)) {
			fields := strings.SplitN(line, " ", 6)
			if len(fields) == 6 && !yield(line, unescape.Replace(fields[4])) {
				return
			}
		}
	}
}

// typeOf returns the type of the file system that a file is on, such as nfs4 or
// fuse.sshfs, or "" if that is not known.
func typeOf(info fs.FileInfo) string {
	number := deviceOf(info).fs
	device := fmt.Sprintf("%d:%d", unix.Major(number), unix.Minor(number))
	for line := range mountPoints() {
		if fields := strings.Fields(line); fields[2] == device {
			_, after, _ := strings.Cut(line, " - ")
			kind, _, _ := strings.Cut(after, " ")
			return kind
		}
	}
	return ""
}

// unescape undoes what the kernel does to characters that would end a field.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// covers reports whether root is dir or below it.
func covers(dir, root string) bool {
	rest, ok := strings.CutPrefix(root, strings.TrimSuffix(dir, "/"))
	return ok && (rest == "" || rest[0] == '/')
}
