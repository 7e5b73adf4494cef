package demo

import (
	"bytes"
	_ "embed"
	"io"
	"text/template"
)

//go:embed intro.txt.tmpl
var introText string

var introTemplate = template.Must(template.New("intro").Parse(introText))

// Introduce writes what there is and what to try, in one piece: a reader that
// stops in the middle, as head does, must not end us before we have cleaned up.
// A shell runs the server's program when it is told to run program.
func (d *Demo) Introduce(w io.Writer, program string) error {
	var text bytes.Buffer
	err := introTemplate.Execute(&text, struct {
		*Demo
		Calls   []Call
		Program string
	}{d, Calls, program})
	if err == nil {
		_, err = w.Write(text.Bytes())
	}
	return err
}
