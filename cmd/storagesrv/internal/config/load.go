package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFile    = 32 << 10 // bytes of a configuration file
	maxDepth   = 32       // of lists and mappings in one another: the parser takes their square in time
	maxPEM     = 1 << 20  // bytes of a file of certificates: all public authorities take 200 KB
	maxSecret  = 64 << 10 // bytes of a secret's file
	maxAliases = 32       // YAML aliases: nested ones multiply
)

// An Error is a fault in a configuration file.
type Error struct {
	File         string
	Line, Column int    // 0: of the file as a whole
	Key          string // such as storage[0].sftp.address; "" if unknown
	Message      string

	cause error // may be nil
}

func (e *Error) Unwrap() error { return e.cause }

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	if e.Key != "" {
		return where + ": " + e.Key + ": " + e.Message
	}
	return where + ": " + e.Message
}

// Load reads and checks a configuration file. A fault in it is an *Error. The
// files that it names, if not by an absolute path, are beside it.
func Load(file string) (*Config, error) {
	text, err := read(file, maxFile)
	if err != nil {
		return nil, err
	}
	config, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	config.resolve(filepath.Dir(file))
	return config, nil
}

// resolve makes the files that the configuration names relative to dir.
func (c *Config) resolve(dir string) {
	files := []*string{&c.HTTP.TLS.CertFile, &c.HTTP.TLS.KeyFile, &c.Metadata.PasswordFile, &c.Metadata.CAFile, &c.Metadata.Catalog, &c.Playback.Spool.Dir}
	for _, e := range c.Storage {
		if s := e.SFTP; s != nil {
			files = append(files, &s.KeyFile, &s.PassphraseFile, &s.PasswordFile, &s.KnownHosts)
		}
	}
	for i := range c.Access.SigningKeys {
		files = append(files, &c.Access.SigningKeys[i].SecretFile)
	}
	if c.Audit != nil {
		files = append(files, &c.Audit.File)
	}
	if f := c.Access.Forward; f != nil {
		files = append(files, &f.CAFile)
	}
	if j := c.Access.JWT; j != nil {
		files = append(files, &j.JWKSFile, &j.CAFile)
	}
	for _, file := range files {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
}

// Parse is Load for the text of a file; name is what errors call it.
func Parse(name string, text []byte) (_ *Config, err error) {
	defer func() {
		if p := recover(); p != nil { // the YAML package trips over some texts
			err = &Error{File: name, Message: notYAML}
		}
	}()
	if len(text) > maxFile {
		return nil, &Error{File: name, Message: fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	if tooDeep(text) {
		return nil, &Error{File: name, Message: fmt.Sprintf("lists or mappings nested more than %d deep", maxDepth)}
	}
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, located(name, nil, err)
	}
	if err := refuseExotic(tree); err != nil {
		return nil, &Error{File: name, Message: err.Error()}
	}
	config := Default()
	config.File = name
	decoder := yaml.NewDecoder(bytes.NewReader(nil), yaml.Strict())
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue // an empty file
		}
		if err := decoder.DecodeFromNode(doc.Body, &config); err != nil {
			return nil, located(name, tree, err)
		}
	}
	config.source = source{name: name, tree: tree}
	if err := config.validate(config.source); err != nil {
		return nil, err
	}
	return &config, nil
}

// Locate makes an *Error of what whoever uses a value found out about it. If that
// begins with a key and a colon, as "metadata.password_file: no such file" does, it
// has the place of the key.
func (c *Config) Locate(err error) error {
	e := &Error{File: c.File, Message: err.Error()}
	if key, message, found := strings.Cut(err.Error(), ": "); found && keys.MatchString(key) {
		e = c.source.fault(key, "%s", message)
	}
	e.cause = err
	return e
}

// keys are what the path of a key looks like.
var keys = regexp.MustCompile(`^[a-z][a-z_]*(\[[0-9]+\])?(\.[a-z][a-z_]*(\[[0-9]+\])?)*$`)

// tooDeep looks at brackets, and at dashes in one line, before anything is
// parsed. Quoted ones count too; no configuration has that many.
func tooDeep(text []byte) bool {
	depth := 0
	for line := range bytes.Lines(text) {
		if bytes.Count(line, []byte("- ")) > maxDepth {
			return true
		}
		for _, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > maxDepth {
				return true
			}
		}
	}
	return false
}

// refuseExotic refuses what a configuration has no use for and a hostile one has.
func refuseExotic(tree *ast.File) error {
	if len(tree.Docs) > 1 {
		return errors.New("more than one YAML document")
	}
	aliases, tags := 0, 0
	for _, doc := range tree.Docs {
		ast.Walk(visitor(func(node ast.Node) {
			switch node.Type() {
			case ast.AliasType:
				aliases++
			case ast.TagType:
				tags++
			}
		}), doc)
	}
	if tags > 0 {
		return errors.New("a YAML tag, such as !!str, which no value here needs")
	}
	if aliases > maxAliases {
		return fmt.Errorf("more than %d YAML aliases", maxAliases)
	}
	return nil
}

type visitor func(ast.Node)

func (v visitor) Visit(node ast.Node) ast.Visitor {
	if node == nil {
		return nil
	}
	v(node)
	return v
}

// located turns an error of the YAML package into one of ours, without the
// lines of source that the package would print. tree may be nil.
func located(file string, tree *ast.File, err error) error {
	e := &Error{File: file, Message: notYAML}
	at := yaml.Error(nil)
	if !errors.As(err, &at) {
		return e
	}
	e.Message = message(at)
	if token := at.GetToken(); token != nil {
		e.Line, e.Column = token.Position.Line, token.Position.Column
		e.Key = keyAt(tree, token.Position)
	}
	if errors.As(err, new(*yaml.UnknownFieldError)) && (strings.HasSuffix(e.Key, "password") || strings.HasSuffix(e.Key, "passphrase")) {
		e.Message += "; secrets come from files: " + e.Key[strings.LastIndex(e.Key, ".")+1:] + "_file"
	}
	return e
}

// message says what is wrong in words that quote no value.
func message(err yaml.Error) string {
	var bad *badValue
	var wrongType *yaml.TypeError
	var wrongNode *yaml.UnexpectedNodeTypeError
	var unknown *yaml.UnknownFieldError
	var duplicate *yaml.DuplicateKeyError
	switch {
	case errors.As(err, &bad):
		return bad.Message
	case errors.As(err, &wrongType):
		return "must be " + kind(wrongType.DstType)
	case errors.As(err, &wrongNode):
		return fmt.Sprintf("is a %s where a %s belongs", wrongNode.Actual.YAMLName(), wrongNode.Expected.YAMLName())
	case errors.As(err, &unknown):
		return "unknown key"
	case errors.As(err, &duplicate):
		return "the same key twice"
	}
	return notYAML
}

const notYAML = "not valid YAML: look for keys that are not indented like those beside them, tabs, brackets and quotes without their other half, and backslashes in double quotes"

// kind names what a key of Go type t takes.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping"
}

// keyAt returns the key that stands, or whose value stands, at a position.
func keyAt(tree *ast.File, position *token.Position) (key string) {
	if tree == nil {
		return ""
	}
	for _, doc := range tree.Docs {
		ast.Walk(visitor(func(node ast.Node) {
			t := node.GetToken()
			if t == nil || t.Position.Line != position.Line || t.Position.Column != position.Column {
				return
			}
			if path := strings.TrimPrefix(node.GetPath(), "$."); len(path) > len(key) && path != "$" {
				key = path
			}
		}), doc)
	}
	return key
}

// A source finds the place of a key in the file.
type source struct {
	name string
	tree *ast.File
}

// fault returns an *Error about a key, such as storage[0].sftp.address. The
// key may be missing in the file: then the place is that of what should hold it.
func (s source) fault(key, format string, args ...any) *Error {
	e := &Error{File: s.name, Key: key, Message: fmt.Sprintf(format, args...)}
	for holder := key; holder != ""; holder = parent(holder) {
		path, err := yaml.PathString("$." + holder)
		if err != nil {
			continue
		}
		if node, err := path.FilterFile(s.tree); err == nil && node != nil && node.GetToken() != nil {
			e.Line, e.Column = node.GetToken().Position.Line, node.GetToken().Position.Column
			break
		}
	}
	return e
}

// has reports whether a key is in the file, whatever its value.
func (s source) has(key string) bool {
	path, err := yaml.PathString("$." + key)
	if err != nil {
		return false
	}
	node, err := path.FilterFile(s.tree)
	return err == nil && node != nil
}

func parent(key string) string {
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '.' || key[i] == '[' {
			return key[:i]
		}
	}
	return ""
}

// Secret reads a secret from a file, without the newline at its end. Errors
// name the file and never its content.
func Secret(file string) (string, error) {
	text, err := read(file, maxSecret)
	if err != nil {
		return "", err
	}
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return "", fmt.Errorf("%s: empty", file)
	}
	return string(text), nil
}

// Certificates reads a PEM file.
func Certificates(file string) ([]byte, error) { return read(file, maxPEM) }

// read reads a regular file of at most so many bytes. Anything else could
// keep us waiting, or never end.
func read(file string, most int64) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", file)
	case info.Size() > most:
		return nil, fmt.Errorf("%s: larger than %d bytes", file, most)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
