package storage

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// Limits on a file_path, which comes from outside. Longer ones are refused
// before any store sees them: one request with a path of 1 MB makes OpenSSH's
// sftp-server drop the session that all listeners share.
const (
	MaxPath    = 4096 // bytes, as PATH_MAX on Linux
	MaxSegment = 255  // bytes, as NAME_MAX on every file system in use
)

// family is the file naming convention of the recorder's host.
type family int

const (
	posix   family = iota // /var/recordings/a.mp3
	drive                 // C:\Recordings\a.mp3
	unc                   // \\server\share\a.mp3
	nowhere               // relative or empty
)

// path is a parsed absolute path: the family decides how segments compare.
type path struct {
	family   family
	segments []string // for drive, the first is "C:"
}

// parsePath splits s, a file_path or a configured prefix, and refuses what
// could mean another file than it seems to: segments "." and "..", control
// characters, invalid UTF-8, a backslash in a POSIX path, and on Windows what
// its file systems rewrite (trailing dots and spaces, streams). Repeated
// separators count as one. A directory's trailing separator is accepted only
// if dir is true. Errors wrap fs.ErrInvalid.
func parsePath(s string, dir bool) (path, error) {
	if len(s) > MaxPath {
		return path{}, invalid("longer than %d bytes", MaxPath)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return path{}, invalid("control characters or invalid UTF-8")
	}
	p := path{family: familyOf(s)}
	separators := "/"
	switch p.family {
	case nowhere:
		return path{}, invalid("not absolute")
	case drive, unc:
		separators = `\/`
	}
	if !dir && strings.ContainsAny(s[len(s)-1:], separators) {
		return path{}, invalid("a directory")
	}
	p.segments = strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) })
	for i, segment := range p.segments {
		if p.family == drive && i == 0 {
			continue // "C:" was looked at by familyOf
		}
		if err := p.family.check(segment); err != nil {
			return path{}, err
		}
	}
	if p.family == unc && len(p.segments) < 2 {
		return path{}, invalid("a UNC path without a share")
	}
	return p, nil
}

func familyOf(s string) family {
	switch {
	case strings.HasPrefix(s, `\\`):
		return unc
	case strings.HasPrefix(s, "/"):
		return posix
	case len(s) >= 3 && isLetter(s[0]) && s[1] == ':' && (s[2] == '\\' || s[2] == '/'):
		return drive
	}
	return nowhere
}

// check refuses a segment that is not a plain name in the family's convention.
func (f family) check(segment string) error {
	switch {
	case segment == "." || segment == "..":
		return invalid("a segment %q", segment)
	case len(segment) > MaxSegment:
		return invalid("a segment longer than %d bytes", MaxSegment)
	case f == posix && strings.Contains(segment, `\`):
		return invalid("a backslash in a POSIX path")
	case f != posix && strings.ContainsAny(segment, `:?*"<>|`):
		return invalid("a character that Windows reserves")
	case f != posix && strings.HasSuffix(strings.TrimRight(segment, " "), "."),
		f != posix && strings.HasSuffix(segment, " "):
		return invalid("a segment that ends in a dot or a space on Windows")
	}
	return nil
}

// below returns what remains of p below prefix, and whether p lies strictly
// below it.
func (p path) below(prefix path) (name string, ok bool) {
	n := len(prefix.segments)
	if p.family != prefix.family || len(p.segments) <= n {
		return "", false
	}
	for i, segment := range prefix.segments {
		if !p.family.equal(segment, p.segments[i]) {
			return "", false
		}
	}
	return strings.Join(p.segments[n:], "/"), true
}

func (f family) equal(a, b string) bool {
	if f == posix {
		return a == b
	}
	return strings.EqualFold(a, b)
}

// CheckName refuses a name that no [Store] opens: what [fs.ValidPath] refuses,
// the root itself, control characters, backslashes (separators on some SFTP
// servers), and what is longer than a file system can hold. The error wraps
// fs.ErrInvalid.
func CheckName(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return invalid("not a path below the root")
	}
	if len(name) > MaxPath || strings.ContainsFunc(name, isControl) || strings.Contains(name, `\`) {
		return invalid("too long, or characters that no recording's name has")
	}
	for segment := range strings.SplitSeq(name, "/") {
		if len(segment) > MaxSegment {
			return invalid("a segment longer than %d bytes", MaxSegment)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{fs.ErrInvalid}, args...)...)
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
