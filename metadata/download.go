package metadata

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A Part is a range of the bytes of a file.
type Part struct {
	First, Last int64     // both included; Last may be beyond the end
	Of          Validator // of which version, if it is not zero
}

// A Download is the recorder's answer with a file. Its Body is to be closed,
// and belongs to the context that it was opened with.
type Download struct {
	Body   io.ReadCloser // its errors are ErrUnavailable, ErrTimeout, ErrMalformed or the context's; io.EOF means that all was there
	Length int64         // of Body; -1 if it is not known
	Size   int64         // of the file; -1 if it is not known
	IsPart bool          // Body is the Part that was asked for, as far as the file has it

	Validator Validator // of the file
}

// OpenFile asks the recorder for a file of a call, or for a part of it. An empty
// fileID leaves the choice to the recorder, which makes one of all files of the
// call. A recorder that answers no ranges sends the whole file instead of a part.
//
// The answer begins within the timeout; its body must not take more than the
// stall timeout for the next 16 KiB. MaxDownloads bodies may be open at a time.
//
// Errors are as those of [Client.Call], ErrWrongRange where something else came
// than the part, and ErrChanged where there is none of that version.
func (c *Client) OpenFile(ctx context.Context, callID, fileID string, part *Part) (*Download, error) {
	u, err := c.fileURL(callID, fileID, "file")
	if err != nil {
		return nil, err
	}
	header := http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"identity"}}
	if part != nil {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", part.First, part.Last))
		if !part.Of.IsZero() {
			header.Set("If-Range", part.Of.String())
		}
	}
	d, err := ask(ctx, c, callID, func(budget context.Context) (*Download, error) {
		response, body, err := c.begin(ctx, budget, u, header.Clone())
		if err != nil {
			return nil, err
		}
		d, err := c.read(response, part)
		if err == nil && !body.inTime() {
			err = &temporaryError{err: budget.Err()}
		}
		if err != nil {
			body.Close()
			return nil, err
		}
		if response.StatusCode == http.StatusRequestedRangeNotSatisfiable { // which comes with a page
			body.Close()
			d.Body = http.NoBody
			return d, nil
		}
		body.length = d.Length
		d.Body = body
		return d, nil
	})
	if err != nil {
		return nil, fmt.Errorf("fetch call %s: %w", callID, err)
	}
	return d, nil
}

// read takes from the head of a response what it is an answer with. It leaves
// the body alone if there is no error.
func (c *Client) read(response *http.Response, part *Part) (*Download, error) {
	if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, fmt.Errorf("%w: a file encoded as %s", ErrMalformed, excerpt(coding))
	}
	d := &Download{Length: response.ContentLength, Size: response.ContentLength, Validator: validatorOf(response.Header)}
	switch status := response.StatusCode; {
	case status == http.StatusOK && part != nil && !part.Of.IsZero():
		return nil, fmt.Errorf("%w: the whole came instead of a part", ErrChanged)
	case status == http.StatusOK && d.Length < 0 && !slices.Contains(response.TransferEncoding, "chunked") && response.ProtoMajor == 1:
		return nil, fmt.Errorf("%w: a file without a length, whose end nobody can tell", ErrMalformed)
	case status == http.StatusOK:
		return d, nil
	case part != nil && (status == http.StatusPartialContent || status == http.StatusRequestedRangeNotSatisfiable):
		return d, d.readPart(response, part)
	}
	return nil, c.statusError(response)
}

// readPart checks that a response is the part that was asked for.
func (d *Download) readPart(response *http.Response, part *Part) error {
	given := response.Header.Get("Content-Range")
	wrong := fmt.Errorf("%w: status %d with %s for %d-%d", ErrWrongRange, response.StatusCode, excerpt(given), part.First, part.Last)
	first, last, size, ok := parseContentRange(given)
	d.IsPart, d.Size = true, size
	if ok && response.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		if first >= 0 || size > part.First {
			return wrong
		}
		d.Length = 0
		return nil
	}
	if !ok || first != part.First || last != min(part.Last, size-1) || d.Length >= 0 && d.Length != last-first+1 {
		return wrong
	}
	d.Length = last - first + 1
	if !part.Of.IsZero() && !part.Of.matches(d.Validator) {
		return fmt.Errorf("%w: the part is of another version", ErrChanged)
	}
	return nil
}

// parseContentRange reads "bytes 0-9/100", and "bytes */100", in which there is
// no first and no last: -1. A file whose size is not known is not ok.
func parseContentRange(s string) (first, last, size int64, ok bool) {
	ranges, found := strings.CutPrefix(s, "bytes ")
	span, of, slash := strings.Cut(ranges, "/")
	size, sized := parseDigits(of)
	if !found || !slash || !sized {
		return 0, 0, 0, false
	}
	if span == "*" {
		return -1, -1, size, true
	}
	from, to, _ := strings.Cut(span, "-")
	first, ok1 := parseDigits(from)
	last, ok2 := parseDigits(to)
	return first, last, size, ok1 && ok2 && first <= last && last < size
}

// parseDigits reads a number without a sign.
func parseDigits(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && s[0] != '+' && s[0] != '-'
}
