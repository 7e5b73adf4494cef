package access

import (
	"strings"
	"unicode"
)

// maxName is the length of a caller's name in bytes.
const maxName = 256

// Printable returns a name that comes from outside as a Caller has it: what is
// not printable in it is replaced, and what is too long ends in an ellipsis.
func Printable(name string) string {
	const ellipsis = "…"
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return unicode.ReplacementChar
		}
		return c
	}, name[:min(len(name), maxName+1)])
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName-len(ellipsis)], "") + ellipsis
	}
	return name
}
