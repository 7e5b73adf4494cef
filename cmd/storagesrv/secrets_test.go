package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// leaks hears what the programs of all tests here say to those who run them, and
// to those whom they refuse.
var leaks = new(confidence)

// A confidence knows secrets, and hears what is said that must not hold them. It
// is safe for concurrent use.
type confidence struct {
	mu      sync.Mutex
	secrets map[string]bool          // guarded by mu
	said    map[string]*bytes.Buffer // guarded by mu, by who said it
}

// keep adds secrets. Empty ones are none.
func (c *confidence) keep(secrets ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secrets == nil {
		c.secrets = make(map[string]bool)
	}
	for _, s := range secrets {
		if s = strings.TrimSpace(s); s != "" {
			c.secrets[s] = true
		}
	}
}

// credential matches what is around the secret in a field of a header.
var credential = regexp.MustCompile(`^(?i:Basic|Bearer) |^[^=; ]+=|;.*`)

// keepHeader adds the credentials of a request's header, or of an answer's.
func (c *confidence) keepHeader(h http.Header) {
	for _, name := range []string{"Authorization", "Cookie", "Set-Cookie"} {
		for _, field := range h.Values(name) {
			c.keep(credential.ReplaceAllString(field, ""))
		}
	}
}

// A voice is heard as a writer.
type voice struct {
	confidence *confidence
	name       string
}

func (v voice) Write(p []byte) (int, error) {
	c := v.confidence
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said == nil {
		c.said = make(map[string]*bytes.Buffer)
	}
	if c.said[v.name] == nil {
		c.said[v.name] = new(bytes.Buffer)
	}
	return c.said[v.name].Write(p)
}

// hear returns a reader of what r says, and hears it.
func (c *confidence) hear(r io.Reader) io.Reader {
	return io.TeeReader(r, voice{c, fmt.Sprintf("%p", r)})
}

// hearText hears a text by itself.
func (c *confidence) hearText(what, text string) {
	fmt.Fprintf(voice{c, what}, "%s\n", text)
}

// hearCommandLine hears what everyone on the machine can see of a process.
func (c *confidence) hearCommandLine(process *os.Process) {
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", process.Pid)); err == nil { // else there is no such file system
		c.hearText("command lines", string(line))
	}
}

// secretive is what looks like a secret, known or not: a signature of a link, a
// JSON web token, a key, a credential.
var secretive = regexp.MustCompile(`sign=[\w-]{10}|eyJ[\w-]{10,}\.|PRIVATE KEY|(Basic|Bearer) [\w+/-]{10}`)

// told returns lines with secrets, and what is the secret in each.
func (c *confidence) told() (lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, said := range c.said {
		for line := range strings.Lines(said.String()) {
			found := secretive.FindString(line)
			for s := range c.secrets {
				if strings.Contains(line, s) {
					found = s
				}
			}
			if found != "" {
				lines = append(lines, fmt.Sprintf("%s: %q in %s", name, found, strings.TrimSpace(line)))
			}
		}
	}
	return lines
}

// A suite is all tests, and looks for secrets in what they have heard.
type suite struct{ m *testing.M }

// Run is that of a testing.M.
func (s suite) Run() int {
	code := s.m.Run()
	for _, line := range leaks.told() {
		fmt.Fprintln(os.Stderr, "a secret was told:", line)
		code = max(code, 1)
	}
	return code
}

func TestASecretThatIsToldIsFound(t *testing.T) {
	header := http.Header{"Cookie": {"session=a-session"}, "Authorization": {"Basic YTpi"}, "Set-Cookie": {"play-1=a-cookie; Path=/; HttpOnly"}}
	for said, found := range map[string]bool{
		"a-token of an app":                  true,
		"it is a-session":                    true,
		"it is YTpi":                         true,
		"a-cookie":                           true,
		"/signed?expires=1&sign=0123456789a": true,
		"eyJhbGciOiJFZERTQSJ9.e30.":          true,
		"Authorization: Bearer 0123456789":   true,
		"-----BEGIN OPENSSH PRIVATE KEY":     true,
		"session=a…, play-1; HttpOnly":       false,
		`Bearer realm="storagesrv"`:          false,
	} {
		c := new(confidence)
		c.keep("a-token\n", "")
		c.keepHeader(header)
		if _, err := io.ReadAll(c.hear(strings.NewReader("a line\n" + said))); err != nil {
			t.Fatal(err)
		}
		if told := c.told(); len(told) > 0 != found {
			t.Errorf("%s: %q", said, told)
		}
	}
}
