package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// A Catalog is a [Source] that answers from a file in the shape of the
// recorder's API. It never changes.
type Catalog struct {
	calls  map[string]*Call
	loaded time.Time
}

var _ Source = (*Catalog)(nil)

const maxCatalog = 64 << 20 // bytes

// LoadCatalog reads a catalog from the file called name. See [NewCatalog].
func LoadCatalog(name, encryptedField string) (*Catalog, error) {
	// Anything but a regular file could keep us waiting, or never end.
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read catalog: %s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCatalog+1))
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w", err)
	}
	return NewCatalog(name, data, encryptedField)
}

// NewCatalog reads a catalog of at most 64 MiB: a list of calls or
// {"calls": [list]}, where each is the recorder's answer {"call": {...}} or
// only what that holds; or a single answer. Every call has a call_id, no two the
// same, and every file a file_path. Errors are ErrMalformed and begin with name
// and line. encryptedField is as in [ClientConfig].
func NewCatalog(name string, data []byte, encryptedField string) (*Catalog, error) {
	if encryptedField == "" {
		encryptedField = "encrypted"
	}
	if len(data) > maxCatalog {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", name, ErrMalformed, maxCatalog)
	}
	if err := wellFormed(data); err != nil {
		offset := len(data)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = int(syntax.Offset)
		}
		return nil, fmt.Errorf("%s:%d: %w: %w", name, line(data, offset), ErrMalformed, err)
	}
	r := catalogReader{
		catalog:        &Catalog{calls: make(map[string]*Call), loaded: time.Now()},
		walk:           walk{data: data},
		encryptedField: encryptedField,
	}
	if err := r.read(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, line(data, r.walk.began), err)
	}
	return r.catalog, nil
}

// Call returns the call of the catalog.
func (c *Catalog) Call(_ context.Context, id string) (*Call, error) {
	call, ok := c.calls[id]
	if !ok {
		return nil, fmt.Errorf("look up call %s: %w", excerpt(id), ErrNotFound)
	}
	return call, nil
}

// Len returns the number of calls.
func (c *Catalog) Len() int { return len(c.calls) }

// Refresh returns seen again: there is nobody to ask.
func (c *Catalog) Refresh(_ context.Context, seen *Call) (*Call, error) { return seen, nil }

// Health is always well: the catalog was read whole.
func (c *Catalog) Health() Health {
	return Health{Up: true, Since: c.loaded}
}

// A catalogReader fills a catalog from JSON that is well-formed.
type catalogReader struct {
	catalog        *Catalog
	walk           walk
	encryptedField string
}

func (r *catalogReader) read() error {
	switch kind(r.walk.data) {
	case "an array":
		return r.readList()
	case "an object":
		return r.readObject()
	default:
		return fmt.Errorf("%w: neither a list of calls nor an object", ErrMalformed)
	}
}

func (r *catalogReader) readObject() error {
	found := false
	for r.walk.enter(); r.walk.more(); {
		var err error
		switch unquote(r.walk.value()) {
		case "calls":
			found = true
			err = r.readList()
		case "call":
			found = true
			err = r.readCall()
		default:
			r.walk.value()
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: it has neither calls nor a call", ErrMalformed)
	}
	return nil
}

func (r *catalogReader) readList() error {
	if !r.walk.isArray() {
		r.walk.value()
		return fmt.Errorf("%w: calls is no list", ErrMalformed)
	}
	for r.walk.enter(); r.walk.more(); {
		if err := r.readCall(); err != nil {
			return err
		}
	}
	return nil
}

func (r *catalogReader) readCall() error {
	object := r.walk.value()
	if len(object) > maxAnswer {
		return fmt.Errorf("%w: a call of more than %d bytes", ErrMalformed, maxAnswer)
	}
	fields := parseFields(object, "the call")
	if inner := fields.value("call"); inner != nil {
		object, fields = inner, parseFields(inner, "the call")
	}
	call, err := decodeObject(fields, r.encryptedField)
	if err != nil {
		return err
	}
	if !ValidID(call.ID) {
		return fmt.Errorf("%w: call_id is %s", ErrMalformed, excerpt(call.ID))
	}
	if r.catalog.calls[call.ID] != nil {
		return fmt.Errorf("%w: call %s twice", ErrMalformed, call.ID)
	}
	for _, f := range call.Files { // the recorder may not know it yet; a catalog will not know it later
		if f.Path == "" {
			return fmt.Errorf("%w: a file of call %s has no file_path", ErrMalformed, call.ID)
		}
	}
	call.Raw = slices.Concat([]byte(`{"call":`), object, []byte("}"))
	call.Fetched = r.catalog.loaded
	r.catalog.calls[call.ID] = call
	return nil
}

// line returns the number of the line that holds offset.
func line(data []byte, offset int) int {
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}
